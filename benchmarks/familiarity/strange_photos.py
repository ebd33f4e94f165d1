"""Pictures that are none of the photos a classifier was trained on: by group, as image files."""

import importlib.util
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from components.example_gen.synthetic_flowers.photo import draw_photo

_DRAWN: Final = 200
_SIZE: Final = 224
_SUFFIXES: Final = (".png", ".jpg", ".gif", ".tif")
_WORDS: Final = ("of", "the", "an", "in", "we", "that", "for", "with", "as", "by", "which", "model", "water", "system")


def all_groups(seed: int) -> dict[str, list[bytes]]:
    """Returns every group's image files, by the group's name; what is drawn follows from the seed."""
    rng = np.random.default_rng(seed)
    return {
        "sample_pictures": sample_pictures(),
        "noise": [_noise(rng) for _ in range(_DRAWN)],
        "text_pages": [_text_page(rng) for _ in range(_DRAWN)],
        "drawn_flowers": [draw_photo(seed, index)[1] for index in range(_DRAWN)],
    }


def sample_pictures() -> list[bytes]:
    """Returns the pictures that lie in scikit-image's wheel, and the two of scipy before 1.13."""
    found = importlib.util.find_spec("skimage")
    if found is None or not found.submodule_search_locations:
        raise click.ClickException("scikit-image's pictures are needed: .uv/bin/uv pip install --no-deps scikit-image")
    folder = Path(found.submodule_search_locations[0]) / "data"
    images = [_open(path) for path in sorted(folder.iterdir()) if path.suffix in _SUFFIXES]
    return [_encode(image) for image in images if image is not None] + _scipys_pictures()


def _open(path: Path) -> Image.Image | None:
    try:
        return Image.open(path).convert("RGB")
    except OSError:
        return None


def _scipys_pictures() -> list[bytes]:
    try:
        from scipy.misc import ascent, face
    except ImportError:
        return []
    return [_encode(Image.fromarray(np.asarray(picture(), np.uint8)).convert("RGB")) for picture in (ascent, face)]


def _noise(rng: np.random.Generator) -> bytes:
    """White noise, grey grain, or noise of a coarser grain, smooth or in squares."""
    grain = int(rng.choice([4, 8, 16, 32, 64, _SIZE]))
    pixels: np.ndarray = rng.integers(0, 256, (grain, grain, 3))
    if rng.random() < 1 / 4:
        pixels = np.clip(rng.normal(128, rng.uniform(10, 60), (_SIZE, _SIZE, 1)), 0, 255).repeat(3, 2)
    how = rng.choice([Image.Resampling.BICUBIC, Image.Resampling.NEAREST])
    return _encode(Image.fromarray(pixels.astype(np.uint8)).resize((_SIZE, _SIZE), Image.Resampling(how)))


def _text_page(rng: np.random.Generator) -> bytes:
    width, height = (int(side) for side in rng.integers(300, 900, 2))
    paper = tuple(int(value) for value in rng.integers(215, 256, 3))
    ink = tuple(int(value) for value in rng.integers(0, 80, 3))
    size = int(rng.integers(10, 26))
    page = Image.new("RGB", (width, height), paper)
    draw, font, y = ImageDraw.Draw(page), ImageFont.load_default(size), 20.0
    spacing = size * rng.uniform(1.2, 1.6)
    while y < height - 30:
        line = " ".join(rng.choice(_WORDS, width // size))
        draw.text((20, y), line[: 2 * (width - 40) // size], fill=ink, font=font)
        y += spacing * (2 if rng.random() < 1 / 8 else 1)
    return _encode(page)


def _encode(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=92)
    return buffer.getvalue()


def areas(familiar: np.ndarray, groups: Sequence[np.ndarray]) -> list[float]:
    """Returns the area under the ROC curve for telling each group's scores from those of familiar photos."""
    from sklearn.metrics import roc_auc_score

    return [
        float(roc_auc_score([1] * len(familiar) + [0] * len(group), np.concatenate([familiar, group])))
        for group in groups
    ]
