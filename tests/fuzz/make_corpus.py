"""Writes small valid images of every format for the fuzzer to mutate: `make_corpus.py FOLDER`."""

import io
import sys
from pathlib import Path

import numpy as np
from PIL import Image


def main(folder: Path) -> None:
    """Writes the files.

    Args:
        folder: Where to; made when missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(0).integers(0, 255, (9, 7, 3), np.uint8)
    variants: dict[str, tuple[str, dict[str, bool]]] = {
        "rgb.jpg": ("RGB", {}), "gray.jpg": ("L", {}), "cmyk.jpg": ("CMYK", {}),
        "progressive.jpg": ("RGB", {"progressive": True}),
        "rgb.png": ("RGB", {}), "rgba.png": ("RGBA", {}), "palette.png": ("P", {}), "bits.png": ("1", {}),
        "palette.gif": ("P", {}), "rgb.bmp": ("RGB", {}), "palette.bmp": ("P", {}),
    }  # fmt: skip
    for name, (mode, options) in variants.items():
        buffer = io.BytesIO()
        image_format = "JPEG" if name.endswith("jpg") else name[-3:].upper()
        Image.fromarray(pixels).convert(mode).save(buffer, image_format, **options)
        (folder / name).write_bytes(buffer.getvalue())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
