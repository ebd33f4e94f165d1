"""Photos that look odd: dark, light, blurred, low in contrast, odd in size or shape, transparent or half empty.

The measures and thresholds of light, blur, size and shape are CleanVision's (https://github.com/cleanlab/cleanvision),
that of contrast is scikit-image's (`is_low_contrast`), all on a small copy of the pixels. Nothing is excluded: what is
odd in one data set is the subject of another.
"""

import contextlib
import io
import itertools
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np
from PIL import Image, ImageFilter

from components.contracts.quarantine import OddPhotos
from components.photos.convert import is_transparent, source_of
from components.photos.formats import JPEG, find_format

_LEVELS: Final = np.arange(256)
_SMALL: Final = 64  # pixels: the longer side, at most, of the copy that is measured
_BRIGHTNESS_WEIGHTS: Final = np.array([0.241, 0.691, 0.068], np.float32)
_BRIGHTNESS_QUANTILES: Final = (0.01, 0.05, 0.99)
_DARK, _LIGHT, _LOW_CONTRAST = 0.32, 0.95, 0.05
_BLURRED, _BLUR_FACTOR, _MIN_LEVELS_SCORE = 0.29, 0.01, 0.18
_ODD_ASPECT_RATIO: Final = 0.35
_INTERQUARTILE_RANGES: Final = 3
_MIN_SIZE_FACTOR: Final = 2  # CleanVision calls every other size odd where most photos have the same one.
# Decoders fill the missing part of a JPEG with this gray; transmission errors are closed with an end marker.
_MISSING, _MISSING_SHARE = 128, 0.3
EXAMPLES_PER_KIND: Final = 8

Kind = tuple[str, int]  # ("dark", 0) and the like, or ("size", square root of the number of pixels)
Reference = tuple[str, str]  # (split, id) of a photo
Found = tuple[int, Sequence[tuple[bytes, Reference]]]  # number of photos, and some with their SHA-256, in that order


def measure(image: bytes, picture: Image.Image) -> list[Kind]:
    """Returns the kinds of a photo, its size first; `picture` are the pixels, RGB, as stored in the file `image`."""
    small = picture.reduce(-(-max(picture.size) // _SMALL))
    low, fairly_low, high = _brightness(np.asarray(small, np.float32))
    found = {
        "dark": high < _DARK,
        "light": fairly_low > _LIGHT,
        "low_contrast": high - low < _LOW_CONTRAST,
        "blurred": _is_blurred(small),
        "odd_aspect_ratio": min(picture.size) < _ODD_ASPECT_RATIO * max(picture.size),
        "transparent": _is_cut_out(image),
        "half_empty": _is_half_empty(picture),
    }
    size = round(math.sqrt(picture.width * picture.height))
    return [("size", size), *((kind, 0) for kind, is_so in found.items() if is_so)]


def _brightness(colors: np.ndarray) -> Iterator[float]:
    """Yields the quantiles of the pixels' brightness, in [0, 1]."""
    squares = np.einsum("ijk,k->ij", colors * colors, _BRIGHTNESS_WEIGHTS).ravel()
    places = [int(quantile * (squares.size - 1)) for quantile in _BRIGHTNESS_QUANTILES]
    squares.partition(places)
    yield from (math.sqrt(squares[place]) / 255 for place in places)


def _is_blurred(small: Image.Image) -> bool:
    """Applies CleanVision's score, of edges and of few gray levels, as drawings have, to a small copy.

    Edges in one colour are enough: a red flower among leaves has few in gray.
    """
    gray = small.convert("L")
    score = _edge_score(gray)
    if score < _BLURRED:
        levels = 1 - math.exp(-_BLUR_FACTOR * np.std(gray.histogram()))
        score = max(map(_edge_score, small.split())) + (levels if levels > _MIN_LEVELS_SCORE else 0)
    return score < _BLURRED


def _edge_score(channel: Image.Image) -> float:
    counts = np.array(channel.filter(ImageFilter.FIND_EDGES).histogram()) / (channel.width * channel.height)
    variance = counts @ _LEVELS**2 - (counts @ _LEVELS) ** 2
    return 1 - math.exp(-_BLUR_FACTOR * math.sqrt(max(0, variance)))


def _is_cut_out(image: bytes) -> bool:
    if source := source_of(image):
        return source.transparent
    if find_format(image) is JPEG:
        return False
    # TensorFlow has decoded it, which does not mean that Pillow does.
    with contextlib.suppress(Exception), Image.open(io.BytesIO(image)) as photo:
        return is_transparent(photo)
    return False


def _is_half_empty(picture: Image.Image) -> bool:
    width, height = picture.size

    def is_missing(top: int) -> bool:
        return picture.crop((0, top, width, height)).getextrema() == ((_MISSING, _MISSING),) * 3

    return is_missing(height - 1) and is_missing(int((1 - _MISSING_SHARE) * height)) and not is_missing(0)


def summarize(found: Mapping[Kind, Found]) -> dict[str, OddPhotos]:
    """Returns the odd photos by kind."""
    if not found:
        return {}
    low, high = _usual_sizes({size: number for (kind, size), (number, _) in found.items() if kind == "size"})
    odd: dict[str, list[Found]] = defaultdict(list)
    for (kind, size), of_kind in found.items():
        if kind != "size":
            odd[kind].append(of_kind)
        elif not low <= size <= high:
            odd["odd_size"].append(of_kind)
    examples = {kind: sorted(itertools.chain(*(some for _, some in of_kind))) for kind, of_kind in odd.items()}
    return {
        kind: OddPhotos(sum(number for number, _ in odd[kind]), [place for _, place in some[:EXAMPLES_PER_KIND]])
        for kind, some in examples.items()
    }


def _usual_sizes(numbers: Mapping[int, int]) -> tuple[float, float]:
    """Returns the limits of CleanVision's box plot of photos by size, or half and twice the quartiles if further."""
    sizes = np.array(sorted(numbers))
    ends = np.cumsum([numbers[size] for size in sizes])
    lower, upper = sizes[np.searchsorted(ends, [0.25 * ends[-1], 0.75 * ends[-1]])]
    margin = _INTERQUARTILE_RANGES * (upper - lower)
    return min(lower - margin, lower / _MIN_SIZE_FACTOR), max(upper + margin, upper * _MIN_SIZE_FACTOR)


def describe(odd_looking: Mapping[str, OddPhotos]) -> str:
    """Returns one line for the user, such as "Looks odd: 12 dark, 1 half empty (not excluded; see the report)"."""
    by_number = sorted(odd_looking.items(), key=lambda item: (-item[1].number, item[0]))
    kinds = ", ".join(f"{odd.number:,} {kind.replace('_', ' ')}" for kind, odd in by_number)
    return f"Looks odd: {kinds} (not excluded; see the report)" if kinds else ""
