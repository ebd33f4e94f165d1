"""Finds photos that show the same picture: equal files, and files with close perceptual hashes.

Comparing all pairs would grow with the square of the data set, so only photos that share a band of the hash are
compared: hashes that differ in at most d bits agree in at least one of d + 1 bands.
"""

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

import apache_beam as beam
import imagehash
import numpy as np
from PIL import Image
from scipy.cluster.hierarchy import DisjointSet

from components.image_validator.appearance import Kind
from components.photos.check import ImageCheck
from components.photos.decode import UPRIGHT, orientation_of, turn_upright

# pHash needs 32x32 pixels, dHash fewer.
_THUMBNAIL_SIZE: Final = (32, 32)
# Standard deviation of the thumbnail's gray levels (0 to 255) below which hashes describe the noise of a blank frame.
_MIN_TEXTURE: Final = 4.0
# dHash must agree too, up to twice pHash's distance. Measured on 227x227 photos of flowers: re-encoded and resized
# copies stay within 4 bits of pHash and 10 of dHash (99%: 4 and 4), recolored ones within 4 and 8; among 5 million
# pairs of different photos none came that close.
_DHASH_FACTOR: Final = 2
_HASH_BITS: Final = 64
_HASH_BYTES: Final = _HASH_BITS // 8
_DIGEST_BYTES: Final = 32
_LABEL_BYTES: Final = 8
_FILE_BYTES: Final = _DIGEST_BYTES + _LABEL_BYTES
_CONTENT_BYTES: Final = _FILE_BYTES + 2 * _HASH_BYTES
# Few, large groups: each one costs Beam hundreds of bytes in memory.
_PARTS: Final = 256
_BATCH_SIZE: Final = 16_384

LabelledFile = bytes  # SHA-256 of a file, and the label of its photo
Content = tuple[LabelledFile, bytes, bytes]  # and the file's pHash and dHash
Part = tuple[int, int]  # (number of a band of the hash, a remainder of its bits)
Link = tuple[LabelledFile, LabelledFile]  # that look alike; a repeated one is linked to itself
ExampleKey = tuple[str, bytes, bytes]  # (split, id, SHA-256 of the file): an id alone may occur twice


class PerceptualHashes(NamedTuple):
    """Two hashes of a photo, 8 bytes each."""

    phash: bytes
    dhash: bytes


@dataclasses.dataclass(frozen=True)
class Photo:
    """One example without its pixels."""

    split: str
    id: bytes
    label: int  # -1 without one
    class_name: str  # the label as text where it has no name
    digest: bytes  # SHA-256 of the file
    check: ImageCheck
    hashes: PerceptualHashes | None = None  # None for unusable photos and for those with too little texture
    looks: Sequence[Kind] = ()  # of a usable photo

    @property
    def key(self) -> ExampleKey:
        """Identifies the photo in all splits."""
        return self.split, self.id, self.digest

    @property
    def file(self) -> LabelledFile:
        """Is the same for photos with the same bytes and label."""
        return self.digest + self.label.to_bytes(_LABEL_BYTES, "big", signed=True)

    @property
    def text_id(self) -> str:
        """The id as text, with escapes for bytes that are not UTF-8."""
        return self.id.decode("utf-8", "backslashreplace")


class Place(NamedTuple):
    """Where a file belongs among those that look alike."""

    cluster: LabelledFile  # the smallest one of the files connected to it under any labels
    group: LabelledFile  # and of those connected under its own label
    look_alike: LabelledFile | None  # a file with close hashes under another label


class Duplicate(NamedTuple):
    """A photo that is not the only one in its place."""

    photo: Photo
    place: Place


def perceptual_hashes(image: bytes, picture: Image.Image) -> PerceptualHashes | None:
    """Hashes a photo, rotated according to EXIF; None if it has so little texture that hashes would describe noise.

    Both hashes use gray levels only, so that recolored copies are found too. pHash is the sign of the 8x8 lowest DCT
    frequencies (Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010), dHash that of
    horizontal gradients. `picture` are the pixels, RGB, as stored in the file `image`.
    """
    gray = picture.convert("L").resize(_THUMBNAIL_SIZE, Image.Resampling.LANCZOS, reducing_gap=2.0)
    if np.asarray(gray).std() < _MIN_TEXTURE:
        return None
    if (orientation := orientation_of(image)) != UPRIGHT:
        gray = Image.fromarray(turn_upright(np.asarray(gray)[..., np.newaxis], orientation).numpy()[..., 0])
    phash, dhash = (np.packbits(hashed.hash).tobytes() for hashed in (imagehash.phash(gray), imagehash.dhash(gray)))
    return PerceptualHashes(phash, dhash)


class GroupDuplicates(beam.PTransform):
    """Turns photos into lists of `Duplicate`, one for each cluster of usable ones that look alike, sorted by photo.

    Files with equal bytes, or whose pHashes differ in at most `distance` bits, are in one cluster; so are chains of
    them. Groups within a cluster do not follow chains through files with another label.
    """

    def __init__(self, distance: int) -> None:
        super().__init__()
        self._distance = distance

    def expand(self, photos: beam.PCollection) -> beam.PCollection:
        usable = photos | "KeepUsable" >> beam.Filter(lambda photo: photo.check.defect is None)
        joined = (
            usable
            | "ContentOf" >> beam.Map(_content_of, self._distance > 0)
            | "BatchContents" >> beam.BatchElements(max_batch_size=_BATCH_SIZE)
            | "PackByBand" >> beam.FlatMap(_pack_by_band, self._distance + 1)
            | "GroupByBand" >> beam.GroupByKey()
            | "ComparePairs" >> beam.FlatMap(_links_in_band, self._distance)
            | "CollectLinks" >> beam.combiners.ToList()
            | "JoinLinks" >> beam.Map(join_links)
        )
        places = beam.pvalue.AsSingleton(joined)
        return (
            usable
            | "KeepDuplicates" >> beam.Filter(lambda photo, places: photo.file in places, places)
            | "FindPlace" >> beam.Map(lambda photo, places: Duplicate(photo, places[photo.file]), places)
            | "KeyByCluster" >> beam.Map(lambda duplicate: (duplicate.place.cluster, duplicate))
            | "GroupPhotos" >> beam.GroupByKey()
            | "SortCluster" >> beam.MapTuple(lambda _, cluster: sorted(cluster, key=lambda found: found.photo.key))
        )


def find_links(contents: Iterable[Content], distance: int) -> Iterator[Link]:
    """Compares each file, given once, with all others, at `distance` bits of pHash.

    Yields k - 1 links for k files that are connected under one label, and for each file with look-alikes under other
    labels a link to one of them.
    """
    files, phashes, dhashes = zip(*sorted(contents), strict=True)
    phash, dhash = (_as_rows(b"".join(hashes), _HASH_BYTES) for hashes in (phashes, dhashes))
    labels = np.array([int.from_bytes(file[_DIGEST_BYTES:], "big", signed=True) for file in files])
    rest, unmatched = np.arange(len(files)), np.ones(len(files), bool)
    while rest.size:
        group, rest = [rest[0]], rest[1:]
        while group:
            one = group.pop()
            close = np.flatnonzero(_differing_bits(phash[one], phash[rest]) <= distance)
            close = close[_differing_bits(dhash[one], dhash[rest[close]]) <= distance * _DHASH_FACTOR]
            same_label = labels[rest[close]] == labels[one]
            same, others = rest[close[same_label]], rest[close[~same_label]]
            rest = np.delete(rest, close[same_label])
            group += same.tolist()
            yield from ((files[one], files[other]) for other in same)
            if others.size and unmatched[one]:
                yield files[one], files[others[0]]
                unmatched[one] = False
            yield from ((files[other], files[one]) for other in others[unmatched[others]])
            unmatched[others] = False


def join_links(links: Iterable[Link]) -> dict[LabelledFile, Place]:
    """Joins links: returns the place of every file in one."""
    links = sorted(links)
    clusters, groups = (DisjointSet(itertools.chain.from_iterable(links)) for _ in range(2))
    look_alikes: dict[LabelledFile, LabelledFile] = {}
    for one, other in links:
        clusters.merge(one, other)
        if one[_DIGEST_BYTES:] == other[_DIGEST_BYTES:]:
            groups.merge(one, other)
        else:
            look_alikes.setdefault(one, other)
    cluster, group = (
        {file: smallest for subset in sets.subsets() for smallest in [min(subset)] for file in subset}
        for sets in (clusters, groups)
    )
    return {file: Place(cluster[file], group[file], look_alikes.get(file)) for file in cluster}


def _content_of(photo: Photo, with_hashes: bool) -> Content:
    """Returns a file's content; in place of hashes, bits of the digest match those of equal files only."""
    hashes = photo.hashes if with_hashes else None
    return photo.file, *(hashes or (photo.digest[:_HASH_BYTES], photo.digest[-_HASH_BYTES:]))


def _pack_by_band(contents: Sequence[Content], num_bands: int) -> Iterator[tuple[Part, bytes]]:
    """Yields the contents of each part of each band as the bytes of one array, which take far less memory."""
    rows = _as_rows(b"".join(itertools.chain.from_iterable(contents)), _CONTENT_BYTES)
    for band in range(num_bands):
        parts = _bits_in_band(rows, band, num_bands) % _PARTS
        for part in np.unique(parts):
            yield (band, int(part)), rows[parts == part].tobytes()


def _links_in_band(element: tuple[Part, Iterable[bytes]], distance: int) -> Iterator[Link]:
    (band, _), packed = element
    rows, counts = np.unique(_as_rows(b"".join(packed), _CONTENT_BYTES), axis=0, return_counts=True)
    if band == 0:
        repeated = [row[:_FILE_BYTES].tobytes() for row in rows[counts > 1]]
        yield from zip(repeated, repeated, strict=True)
    bits = _bits_in_band(rows, band, distance + 1)
    order = np.argsort(bits, kind="stable")
    starts = np.flatnonzero(np.diff(bits[order])) + 1
    for same in np.split(order, starts):
        if len(same) > 1:
            yield from find_links([_as_content(row.tobytes()) for row in rows[same]], distance)


def _bits_in_band(rows: np.ndarray, band: int, num_bands: int) -> np.ndarray:
    low, high = _HASH_BITS * band // num_bands, _HASH_BITS * (band + 1) // num_bands
    phashes = rows[:, _FILE_BYTES : _FILE_BYTES + _HASH_BYTES].copy().view(">u8")[:, 0].astype(np.uint64)
    return phashes >> np.uint64(low) & np.uint64((1 << high - low) - 1)


def _as_content(row: bytes) -> Content:
    phash = _FILE_BYTES + _HASH_BYTES
    return row[:_FILE_BYTES], row[_FILE_BYTES:phash], row[phash:]


def _as_rows(packed: bytes, length: int) -> np.ndarray:
    return np.frombuffer(packed, np.uint8).reshape(-1, length)


def _differing_bits(one: np.ndarray, others: np.ndarray) -> np.ndarray:
    return np.unpackbits(one ^ others, axis=1).sum(axis=1)
