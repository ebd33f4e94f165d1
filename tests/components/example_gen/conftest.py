"""Small photo sets for the tests of this folder."""

import io
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

MakePhotos = Callable[[Mapping[str, int]], Path]


def jpeg_bytes(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG")
    return buffer.getvalue()


def write_tgz(archive: Path, files: Mapping[str, bytes]) -> Path:
    with tarfile.open(archive, "w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return archive


def read_photos(root: Path) -> dict[str, bytes]:
    return {file.relative_to(root).as_posix(): file.read_bytes() for file in root.rglob("*") if file.is_file()}


@pytest.fixture
def make_photos(tmp_path: Path) -> MakePhotos:
    """Makes a folder with the given number of photos in each class."""

    def make(class_counts: Mapping[str, int]) -> Path:
        root = tmp_path / "photos"
        seed = 0
        for class_name, count in class_counts.items():
            (root / class_name).mkdir(parents=True, exist_ok=True)
            for index in range(count):
                seed += 1
                (root / class_name / f"{index:03}.jpg").write_bytes(jpeg_bytes(seed))
        return root

    return make
