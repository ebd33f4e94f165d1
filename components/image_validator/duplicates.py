"""Finds photos that are the same picture, byte for byte or nearly so.

Near-duplicates are pairs whose perceptual hashes differ in few bits; comparing all pairs would grow with the square of
the data set, so only photos that share a band of the hash are compared.
"""

import dataclasses
import itertools
from collections.abc import Iterable, Iterator
from typing import Final

import apache_beam as beam
import numpy as np
from scipy.cluster.hierarchy import DisjointSet

from components.image_validator.image_check import ImageCheck

# dHash must agree too, at up to twice pHash's distance. Measured on 227x227 photos of flowers: re-encoded and resized
# copies stay within 4 bits of pHash and 10 of dHash (99%: 4 and 4), recoloured ones within 4 and 8; among 5 million
# pairs of different photos none came that close.
_DHASH_FACTOR: Final = 2
_HASH_BITS: Final = 64

PhotoKey = tuple[str, bytes, bytes]  # (split, id, SHA-256 of the file): an id alone may occur twice
Content = tuple[bytes, bytes, bytes]  # (SHA-256, pHash, dHash) of a file
Band = tuple[int, int]  # (number of the band, its bits)
Link = tuple[bytes, bytes]  # SHA-256 of two files that show the same picture


@dataclasses.dataclass(frozen=True)
class Photo:
    """One example without its pixels, so that grouping stays cheap.

    Attributes:
        split: The split that it came in.
        id: Its id as stored.
        label: Its class, an index; -1 when it has none.
        class_name: The class's name; the label as text when it has none.
        digest: SHA-256 of the file.
        check: What the file turned out to be.
    """

    split: str
    id: bytes
    label: int
    class_name: str
    digest: bytes
    check: ImageCheck

    @property
    def key(self) -> PhotoKey:
        """Identifies the photo among all splits."""
        return self.split, self.id, self.digest

    @property
    def text_id(self) -> str:
        """The id as text; bytes that are not UTF-8 appear as escapes."""
        return self.id.decode("utf-8", "backslashreplace")


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
        links = (
            photos
            # By the pigeonhole principle, hashes that differ in at most d bits agree in at least one of d + 1 bands.
            | "ContentOf" >> beam.FlatMap(_content_of)
            | "DistinctContent" >> beam.Distinct()
            | "KeyByBand" >> beam.FlatMap(_with_bands, self._distance + 1)
            | "GroupByBand" >> beam.GroupByKey()
            | "ComparePairs" >> beam.FlatMap(_links_in_band, self._distance)
            if self._distance
            else photos.pipeline | "NoLinks" >> beam.Create([])
        )
        representatives = links | "CollectLinks" >> beam.combiners.ToList() | "JoinLinks" >> beam.Map(join_links)
        return (
            photos
            | "KeyByGroup" >> beam.Map(_with_representative, beam.pvalue.AsSingleton(representatives))
            | "GroupPhotos" >> beam.GroupByKey()
            | "KeepDuplicates" >> beam.FlatMap(_as_duplicates)
        )


def join_links(links: Iterable[Link]) -> dict[bytes, bytes]:
    """Joins links to groups.

    Args:
        links: Pairs of SHA-256 digests, in any order.

    Returns:
        For every digest in a link, the smallest digest of its group.
    """
    links = list(links)
    sets = DisjointSet(itertools.chain.from_iterable(links))
    for one, other in links:
        sets.merge(one, other)
    return {digest: smallest for subset in sets.subsets() for smallest in [min(subset)] for digest in subset}


def _content_of(photo: Photo) -> Iterator[Content]:
    if photo.check.fingerprint:
        yield photo.digest, *photo.check.fingerprint


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
    sets = DisjointSet(digests)  # k equal pictures need k - 1 links, not one for each of their pairs
    for index, digest in enumerate(digests):
        rest = slice(index + 1, None)
        close = _differing_bits(phash[index], phash[rest]) <= distance
        close &= _differing_bits(dhash[index], dhash[rest]) <= distance * _DHASH_FACTOR
        for offset in np.flatnonzero(close):
            other = digests[index + 1 + offset]
            if sets.merge(digest, other):
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
