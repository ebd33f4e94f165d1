"""Photo archives."""

import io
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def write_tgz() -> Callable[[Path, Mapping[str, bytes]], Path]:
    """A function that writes a .tgz of {name: content} and returns its path."""

    def write(archive: Path, files: Mapping[str, bytes]) -> Path:
        with tarfile.open(archive, "w:gz") as tar:
            for name, content in files.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
        return archive

    return write
