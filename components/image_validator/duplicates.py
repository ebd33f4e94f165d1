"""Finds photos that are the same picture, byte for byte or nearly so.

Near-duplicates are pairs whose perceptual hashes differ in few bits; comparing all pairs would grow with the square of
the data set, so only photos that share a band of the hash are compared.
"""

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import apache_beam as beam
from scipy.cluster.hierarchy import DisjointSet

from components.image_validator.content_pairs import (
    Content,
    Link,
    links_in_band,
    pack_by_band,
    pack_by_digest,
    repeated_digests,
)
from components.image_validator.image_check import ImageCheck

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
