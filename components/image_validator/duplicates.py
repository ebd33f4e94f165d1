"""Finds photos that are the same picture, byte for byte or nearly so.

Near-duplicates are pairs whose perceptual hashes differ in few bits; comparing all pairs would grow with the square of
the data set, so only photos that share a band of the hash are compared.
"""

import itertools
from collections.abc import Iterable, Iterator
from typing import Final

import apache_beam as beam
import numpy as np

from components.image_validator.photo import Photo

# dHash must agree too, at up to twice pHash's distance. Measured on 227x227 photos of flowers: re-encoded and resized
# copies stay within 4 bits of pHash and 10 of dHash (99%: 4 and 4), recoloured ones within 4 and 8; among 5 million
# pairs of different photos none came that close.
_DHASH_FACTOR: Final = 2
_HASH_BITS: Final = 64

Content = tuple[bytes, bytes, bytes]  # (SHA-256, pHash, dHash) of a file
Band = tuple[int, int]  # (number of the band, its bits)
Link = tuple[bytes, bytes]  # SHA-256 of two files that show the same picture


class GroupDuplicates(beam.PTransform):
    """Turns photos into lists of at least two that show the same picture, sorted by split and id.

    The groups depend on the photos alone: files are joined when their bytes are equal or their hashes are close, and
    so are chains of such files.
    """

    def __init__(self, near_duplicate_distance: int) -> None:
        """Remembers how close is close.

        Args:
            near_duplicate_distance: Largest number of differing bits of the 64-bit pHash; 0 joins equal bytes only.
        """
        super().__init__()
        self._distance = near_duplicate_distance

    def expand(self, photos: beam.PCollection) -> beam.PCollection:
        representatives = (
            photos
            | "LinkNearDuplicates" >> _LinkNearDuplicates(self._distance)
            | "CollectLinks" >> beam.combiners.ToList()
            | "JoinLinks" >> beam.Map(join_links)
        )
        return (
            photos
            | "KeyByGroup" >> beam.Map(_with_representative, beam.pvalue.AsSingleton(representatives))
            | "GroupPhotos" >> beam.GroupByKey()
            | "KeepDuplicates" >> beam.FlatMap(_as_duplicates)
        )


class _LinkNearDuplicates(beam.PTransform):
    """Finds pairs of different files with close hashes.

    By the pigeonhole principle, two hashes that differ in at most d bits agree in at least one of d + 1 bands.
    """

    def __init__(self, distance: int) -> None:
        super().__init__()
        self._distance = distance

    def expand(self, photos: beam.PCollection) -> beam.PCollection:
        if not self._distance:
            return photos.pipeline | "NoLinks" >> beam.Create([])
        return (
            photos
            | "ContentOf" >> beam.FlatMap(_content_of)
            | "DistinctContent" >> beam.Distinct()
            | "KeyByBand" >> beam.FlatMap(_with_bands, self._distance + 1)
            | "GroupByBand" >> beam.GroupByKey()
            | "ComparePairs" >> beam.FlatMap(_links_in_band, self._distance)
        )


class _DisjointSets:
    """Union-find whose representatives are the smallest members, whatever the order of the unions."""

    def __init__(self) -> None:
        self._parents: dict[bytes, bytes] = {}

    def find(self, member: bytes) -> bytes:
        root = member
        while (parent := self._parents.get(root, root)) != root:
            root = parent
        while member != root:  # path compression
            member, self._parents[member] = self._parents.get(member, member), root
        return root

    def union(self, one: bytes, other: bytes) -> bool:
        """Joins two sets; returns whether they were apart."""
        small, large = sorted((self.find(one), self.find(other)))
        self._parents[large] = small
        return small != large


def join_links(links: Iterable[Link]) -> dict[bytes, bytes]:
    """Joins links to groups.

    Args:
        links: Pairs of SHA-256 digests, in any order.

    Returns:
        For every digest in a link, the smallest digest of its group.
    """
    links = list(links)
    sets = _DisjointSets()
    for one, other in links:
        sets.union(one, other)
    return {digest: sets.find(digest) for link in links for digest in link}


def _content_of(photo: Photo) -> Iterator[Content]:
    hashes = photo.inspection.fingerprint
    if hashes:
        yield photo.digest, hashes.phash, hashes.dhash


def _with_bands(content: Content, num_bands: int) -> Iterator[tuple[Band, Content]]:
    phash = int.from_bytes(content[1], "big")
    edges = [_HASH_BITS * band // num_bands for band in range(num_bands + 1)]
    for band, (low, high) in enumerate(itertools.pairwise(edges)):
        yield (band, phash >> low & (1 << high - low) - 1), content


def _links_in_band(element: tuple[Band, Iterable[Content]], distance: int) -> Iterator[Link]:
    contents = sorted(element[1])
    if len(contents) == 1:
        return
    digests, phashes, dhashes = zip(*contents, strict=True)
    phash, dhash = _as_array(phashes), _as_array(dhashes)
    sets = _DisjointSets()  # k equal pictures need k - 1 links, not one for each of their pairs
    for index, digest in enumerate(digests):
        rest = slice(index + 1, None)
        close = _differing_bits(phash[index], phash[rest]) <= distance
        close &= _differing_bits(dhash[index], dhash[rest]) <= distance * _DHASH_FACTOR
        for offset in np.flatnonzero(close):
            other = digests[index + 1 + offset]
            if sets.union(digest, other):
                yield digest, other


def _as_array(hashes: Iterable[bytes]) -> np.ndarray:
    return np.frombuffer(b"".join(hashes), np.uint8).reshape(-1, _HASH_BITS // 8)


def _differing_bits(one: np.ndarray, others: np.ndarray) -> np.ndarray:
    return np.unpackbits(one ^ others, axis=1).sum(axis=1)


def _with_representative(photo: Photo, representatives: dict[bytes, bytes]) -> tuple[bytes, Photo]:
    return representatives.get(photo.digest, photo.digest), photo


def _as_duplicates(element: tuple[bytes, Iterable[Photo]]) -> Iterator[list[Photo]]:
    photos = sorted(element[1], key=lambda photo: photo.key)
    if len(photos) > 1:
        yield photos
