"""Photos of an Examples artifact as small pictures inside the page.

Reads the gzip TFRecords itself: TensorFlow would take longer than the whole report.
"""

import base64
import dataclasses
import gzip
import io
import struct
import warnings
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set
from pathlib import Path

from PIL import Image, ImageOps
from tfx_bsl.coders.example_coder import ExampleToNumpyDict

from components import contracts

_THUMBNAIL_PIXELS = 120
_JPEG_QUALITY = 72
# A report must not take minutes at the end of a run with a large data set; photos are stored in random order, so the
# beginning of a split is a fair sample.
_MAX_BYTES_PER_SPLIT = 400_000_000
_MAX_PIXELS = 64_000_000
_JPEG_FORMATS = ("JPEG", "MPO")  # an MPO is a JPEG with further pictures behind the first
_LENGTH_BYTES, _CRC_BYTES = 8, 4

PhotoKey = tuple[str, str]  # (split, id)


@dataclasses.dataclass(frozen=True)
class Thumbnail:
    """A small picture.

    Attributes:
        id: The photo's id as text.
        data_uri: The picture as a `data:` URI; None when it cannot be decoded or was not found.
        width: In pixels.
        height: In pixels.
    """

    id: str
    data_uri: str | None = None
    width: int = 0
    height: int = 0


@dataclasses.dataclass(frozen=True)
class Album:
    """The pictures that a report shows.

    Attributes:
        samples: By split and label, the first photos of a class.
        wanted: The photos asked for, by split and id, as far as they were found.
    """

    samples: Mapping[str, Mapping[int, Sequence[Thumbnail]]]
    wanted: Mapping[PhotoKey, Thumbnail]

    def find(self, split: str, photo_id: str) -> Thumbnail:
        """Returns a photo that was asked for; without a picture when it was not found."""
        return self.wanted.get((split, photo_id), Thumbnail(photo_id))


def make_album(
    folder: Path | None,
    splits: Sequence[str] = (),
    per_class: int = 0,
    labels: int = 0,
    wanted: Set[PhotoKey] = frozenset(),
) -> Album:
    """Reads an Examples artifact once and makes the pictures that are needed.

    Args:
        folder: The artifact's folder; None gives an empty album.
        splits: The splits to take samples from.
        per_class: How many photos of each class and split.
        labels: Samples are taken of the labels 0 to `labels` - 1.
        wanted: Further photos.

    Returns:
        The pictures.
    """
    samples: dict[str, dict[int, list[Thumbnail]]] = {split: defaultdict(list) for split in splits}
    found: dict[PhotoKey, Thumbnail] = {}
    if folder is None:
        return Album(samples, found)
    for split in sorted({*splits, *(split for split, _ in wanted)}):
        missing = {photo_id for wanted_split, photo_id in wanted if wanted_split == split}
        room = per_class * labels if split in samples else 0
        for photo_id, label, image in _read_split(folder / split_folder(split)):
            if photo_id in missing:
                missing.discard(photo_id)
                found[split, photo_id] = make_thumbnail(photo_id, image)
            if room and 0 <= label < labels and len(samples[split][label]) < per_class:
                room -= 1
                samples[split][label].append(make_thumbnail(photo_id, image))
            if not missing and not room:
                break
    return Album(samples, found)


def split_folder(split: str) -> str:
    """Returns the folder of a split within an Examples artifact, TFX's convention."""
    return f"Split-{split}"


def _read_split(folder: Path) -> Iterator[tuple[str, int, bytes]]:
    """Yields (id, label, encoded image) until the split or the allowance ends."""
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
    """Yields the records of a gzip TFRecord file; gzip's own checksum stands in for those of the records."""
    with gzip.open(path) as file:
        while header := file.read(_LENGTH_BYTES + _CRC_BYTES):
            (length,) = struct.unpack_from("<Q", header)
            yield file.read(length)
            file.read(_CRC_BYTES)


def make_thumbnail(photo_id: str, image: bytes) -> Thumbnail:
    """Shrinks a photo and turns it the way that its EXIF data tells: as the model sees it.

    Args:
        photo_id: The photo's id as text.
        image: The encoded file, whatever it holds.

    Returns:
        A JPEG picture of at most 120x120 pixels, or none when the file cannot be decoded or is too large.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(image)) as photo:
                if photo.width * photo.height > _MAX_PIXELS:
                    return Thumbnail(photo_id)
                photo.draft("RGB", (_THUMBNAIL_PIXELS * 2, _THUMBNAIL_PIXELS * 2))
                small = photo.convert("RGB")
                is_jpeg = photo.format in _JPEG_FORMATS
        small.thumbnail((_THUMBNAIL_PIXELS, _THUMBNAIL_PIXELS), Image.Resampling.LANCZOS)
        if is_jpeg:
            small = _turn_upright(small)
        buffer = io.BytesIO()
        small.save(buffer, "JPEG", quality=_JPEG_QUALITY, optimize=True)
    except Exception:
        # Pillow raises many kinds on damaged files; the page then says "no picture".
        return Thumbnail(photo_id)
    data_uri = "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
    return Thumbnail(photo_id, data_uri, small.width, small.height)


def _turn_upright(photo: Image.Image) -> Image.Image:
    photo.info.pop("xmp", None)  # Pillow would look there, too; the model does not.
    try:
        return ImageOps.exif_transpose(photo)
    except Exception:
        # Pillow raises many kinds on damaged EXIF data; the model then takes the photo as it is stored.
        return photo
