"""Photos of an Examples artifact as thumbnails inside the page; reads gzip TFRecords without importing TensorFlow."""

import base64
import dataclasses
import gzip
import io
import struct
import warnings
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from PIL import Image, ImageOps
from tfx_bsl.coders.example_coder import ExampleToNumpyDict

from components import contracts
from components.photos.formats import MAX_PIXELS

_THUMBNAIL_PIXELS = 120
_JPEG_QUALITY = 72
# The report of a large data set must not take minutes. Photos are stored in random order, so the beginning of a split
# is a fair sample.
_MAX_BYTES_PER_SPLIT = 400_000_000
# Pillow would read the orientation there, too; the model does not.
_IGNORED_METADATA = ("xmp", "XML:com.adobe.xmp", "Raw profile type exif")
_LENGTH_BYTES, _CRC_BYTES = 8, 4


@dataclasses.dataclass(frozen=True)
class Thumbnail:
    """A small picture as a `data:` URI, with its size in pixels; no URI if the photo was not found or is damaged."""

    id: str
    data_uri: str | None = None
    width: int = 0
    height: int = 0


@dataclasses.dataclass(frozen=True)
class Album:
    """Thumbnails: of samples by split and label, and of single photos by split and id."""

    samples: Mapping[str, Mapping[int, Sequence[Thumbnail]]]
    photos: Mapping[tuple[str, str], Thumbnail]

    def find(self, split: str, photo_id: str) -> Thumbnail:
        """Returns a photo's thumbnail, without a picture if the photo was not found."""
        return self.photos.get((split, photo_id), Thumbnail(photo_id))


def make_album(
    folder: Path | None, samples: Mapping[str, Mapping[int, int]], wanted: Collection[tuple[str, str]]
) -> Album:
    """Makes thumbnails of an Examples artifact in one pass, which ends when all are found.

    `samples` is how many photos to show of each label, by split; `wanted` holds split and id of further photos. Without
    a folder the album is empty.
    """
    found: dict[str, dict[int, list[Thumbnail]]] = {split: defaultdict(list) for split in samples}
    photos: dict[tuple[str, str], Thumbnail] = {}
    if folder is None:
        return Album(found, photos)
    for split in sorted({*samples, *(split for split, _ in wanted)}):
        missing = {photo_id for wanted_split, photo_id in wanted if wanted_split == split}
        room = {label: number for label, number in samples.get(split, {}).items() if number}
        for photo_id, label, image in _read_split(split_folder(folder, split)) if missing or room else ():
            if photo_id not in missing and label not in room:
                continue
            thumbnail = make_thumbnail(photo_id, image)
            if photo_id in missing:
                missing.discard(photo_id)
                photos[split, photo_id] = thumbnail
            if label in room:
                found[split][label].append(thumbnail)
                room[label] -= 1
                if not room[label]:
                    del room[label]
            if not missing and not room:
                break
    return Album(found, photos)


def split_folder(folder: Path, split: str) -> Path:
    """Returns a split's folder inside an artifact, by TFX's convention."""
    return folder / f"Split-{split}"


def _read_split(folder: Path) -> Iterator[tuple[str, int, bytes]]:
    """Yields (id, label, encoded image) up to the end of the split or the maximum number of bytes."""
    read = 0
    for path in sorted(folder.glob("*.gz")):
        for record in _read_records(path):
            features = ExampleToNumpyDict(record)
            image = features[contracts.IMAGE_KEY]
            if image is None or not len(image):
                continue
            photo_id = bytes(features[contracts.ID_KEY][0]).decode("utf-8", "backslashreplace")
            yield photo_id, int(features[contracts.LABEL_KEY][0]), bytes(image[0])
            read += len(record)
            if read > _MAX_BYTES_PER_SPLIT:
                return


def _read_records(path: Path) -> Iterator[bytes]:
    """Yields the records of a gzip TFRecord file; gzip's own checksum makes those of the records redundant."""
    with gzip.open(path) as file:
        while header := file.read(_LENGTH_BYTES + _CRC_BYTES):
            (length,) = struct.unpack_from("<Q", header)
            yield file.read(length)
            file.read(_CRC_BYTES)


def make_thumbnail(photo_id: str, image: bytes) -> Thumbnail:
    """Shrinks an encoded photo to a JPEG of at most 120x120 pixels, rotated according to EXIF as for the model."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(image)) as photo:
                if photo.width * photo.height > MAX_PIXELS:
                    return Thumbnail(photo_id)
                photo.draft("RGB", (_THUMBNAIL_PIXELS * 2, _THUMBNAIL_PIXELS * 2))
                small = photo.convert("RGB")
        small.thumbnail((_THUMBNAIL_PIXELS, _THUMBNAIL_PIXELS), Image.Resampling.LANCZOS)
        small = _rotated(small)
        buffer = io.BytesIO()
        small.save(buffer, "JPEG", quality=_JPEG_QUALITY, optimize=True)
    except Exception:
        # Pillow raises many kinds of errors on damaged files.
        return Thumbnail(photo_id)
    data_uri = "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
    return Thumbnail(photo_id, data_uri, small.width, small.height)


def _rotated(photo: Image.Image) -> Image.Image:
    for name in _IGNORED_METADATA:
        photo.info.pop(name, None)
    try:
        return ImageOps.exif_transpose(photo)
    except Exception:
        # Pillow raises many kinds of errors on damaged EXIF data; the model ignores such data.
        return photo
