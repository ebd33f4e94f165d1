"""Finds photos that are the same picture, byte for byte or nearly so.

Near-duplicates are pairs whose perceptual hashes differ in few bits; comparing all pairs would grow with the square of
the data set, so only photos that share a band of the hash are compared.
"""

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

import apache_beam as beam
import numpy as np
from scipy.cluster.hierarchy import DisjointSet

from components.photos.check import ImageCheck

# dHash must agree too, at up to twice pHash's distance. Measured on 227x227 photos of flowers: re-encoded and resized
# copies stay within 4 bits of pHash and 10 of dHash (99%: 4 and 4), recoloured ones within 4 and 8; among 5 million
# pairs of different photos none came that close.
_DHASH_FACTOR: Final = 2
_HASH_BITS: Final = 64
_DIGEST_BYTES: Final = 32
_CONTENT_BYTES: Final = _DIGEST_BYTES + 2 * _HASH_BITS // 8
# What is grouped is few and large: in memory, a group of Beam takes hundreds of bytes besides.
_PARTS: Final = 256

Content = tuple[bytes, bytes, bytes]  # (SHA-256, pHash, dHash) of a file
Part = tuple[int, int]  # (number of a band of the hash, a remainder of its bits)
Link = tuple[bytes, bytes]  # SHA-256 of two files that show the same picture


def pack_by_band(contents: Sequence[Content], num_bands: int) -> Iterator[tuple[Part, bytes]]:
    """Yields the contents of each part of each band as the bytes of an array: one by one they take far more."""
    rows = _as_rows(b"".join(itertools.chain.from_iterable(contents)), _CONTENT_BYTES)
    for band in range(num_bands):
        parts = _bits_in_band(rows, band, num_bands) % _PARTS
        for part in np.unique(parts):
            yield (band, int(part)), rows[parts == part].tobytes()


def links_in_band(element: tuple[Part, Iterable[bytes]], distance: int) -> Iterator[Link]:
    """Yields the links between the contents of one part; the same file may be in it several times."""
    (band, _), packed = element
    # Equal files have equal hashes.
    rows = np.unique(_as_rows(b"".join(packed), _CONTENT_BYTES), axis=0)
    bits = _bits_in_band(rows, band, distance + 1)
    order = np.argsort(bits, kind="stable")
    starts = np.flatnonzero(np.diff(bits[order])) + 1
    for same in np.split(order, starts):
        if len(same) > 1:
            yield from find_links([_as_content(row.tobytes()) for row in rows[same]], distance)


def _bits_in_band(rows: np.ndarray, band: int, num_bands: int) -> np.ndarray:
    low, high = (_HASH_BITS * edge // num_bands for edge in (band, band + 1))
    phashes = rows[:, _DIGEST_BYTES : _DIGEST_BYTES + _HASH_BITS // 8].copy().view(">u8")[:, 0].astype(np.uint64)
    return phashes >> np.uint64(low) & np.uint64((1 << high - low) - 1)


def _as_content(row: bytes) -> Content:
    phash = _DIGEST_BYTES + _HASH_BITS // 8
    return row[:_DIGEST_BYTES], row[_DIGEST_BYTES:phash], row[phash:]


def pack_by_digest(digests: Sequence[bytes]) -> Iterator[tuple[int, bytes]]:
    """Yields digests by their first byte, as the bytes of an array."""
    rows = _as_rows(b"".join(digests), _DIGEST_BYTES)
    for first in np.unique(rows[:, 0]):
        yield int(first), rows[rows[:, 0] == first].tobytes()


def repeated_digests(element: tuple[int, Iterable[bytes]]) -> Iterator[tuple[bytes, None]]:
    """Yields those, as keys, that occur more than once among digests of the same first byte."""
    rows, counts = np.unique(_as_rows(b"".join(element[1]), _DIGEST_BYTES), axis=0, return_counts=True)
    for row in rows[counts > 1]:
        yield row.tobytes(), None


def _as_rows(packed: bytes, length: int) -> np.ndarray:
    return np.frombuffer(packed, np.uint8).reshape(-1, length)


def find_links(contents: Iterable[Content], distance: int) -> Iterator[Link]:
    """Compares every file with every other one.

    Args:
        contents: What files hold, each once, in any order.
        distance: Largest number of differing bits of the 64-bit pHash.

    Yields:
        k - 1 links for k files that show the same picture.
    """
    contents = sorted(contents)
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
    return _as_rows(b"".join(hashes), _HASH_BITS // 8)


def _differing_bits(one: np.ndarray, others: np.ndarray) -> np.ndarray:
    return np.unpackbits(one ^ others, axis=1).sum(axis=1)


_PACKED_AT_ONCE: Final = 16_384

PhotoKey = tuple[str, bytes, bytes]  # (split, id, SHA-256 of the file): an id alone may occur twice


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
            | "ContentOf" >> beam.FlatMap(_content_of)
            | "BatchContents" >> beam.BatchElements(max_batch_size=_PACKED_AT_ONCE)
            # By the pigeonhole principle, hashes that differ in at most d bits agree in at least one of d + 1 bands.
            | "PackByBand" >> beam.FlatMap(pack_by_band, self._distance + 1)
            | "GroupByBand" >> beam.GroupByKey()
            | "ComparePairs" >> beam.FlatMap(links_in_band, self._distance)
            if self._distance
            else photos.pipeline | "NoLinks" >> beam.Create([])
        )
        representatives = links | "CollectLinks" >> beam.combiners.ToList() | "JoinLinks" >> beam.Map(join_links)
        repeated = (
            photos
            | "DigestOf" >> beam.Map(lambda photo: photo.digest)
            | "BatchDigests" >> beam.BatchElements(max_batch_size=_PACKED_AT_ONCE)
            | "PackByDigest" >> beam.FlatMap(pack_by_digest)
            | "GroupByDigest" >> beam.GroupByKey()
            | "FindRepeated" >> beam.FlatMap(repeated_digests)
        )
        return (
            photos
            | "KeyByGroup"
            >> beam.FlatMap(
                _with_representative,
                beam.pvalue.AsSingleton(representatives),
                beam.pvalue.AsDict(repeated),
            )
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


def _with_representative(
    photo: Photo, representatives: Mapping[bytes, bytes], repeated: Mapping[bytes, None]
) -> Iterator[tuple[bytes, Photo]]:
    """Yields a photo with its group's key, unless it is alone."""
    if photo.digest in representatives or photo.digest in repeated:
        yield representatives.get(photo.digest, photo.digest), photo


def _as_duplicates(element: tuple[bytes, Iterable[Photo]]) -> Iterator[list[Photo]]:
    photos = sorted(element[1], key=lambda photo: photo.key)
    if len(photos) > 1:
        yield photos
