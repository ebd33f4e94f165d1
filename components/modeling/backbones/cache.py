"""Where backbones are kept between runs, and the digest that identifies their content."""

import functools
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from components.common.errors import UserError


def content_digest(path: str, without: str = "") -> str:
    """Returns the hexadecimal SHA-256 of the relative names and the bytes of all files in a folder, local or remote.

    It identifies a SavedModel wherever it is copied: times, owners, empty folders and the folder's name do not matter.
    `without` is the name of a subfolder to leave out.
    """
    files = _remote_files(path.rstrip("/")) if "://" in path else _local_files(Path(path))
    digest = hashlib.sha256()
    for name, read in sorted(files, key=lambda file: file[0]):
        if without and name.startswith(f"{without}/"):
            continue
        digest.update(f"{hashlib.sha256(read()).hexdigest()}  {name}\n".encode())
    return digest.hexdigest()


def _local_files(root: Path) -> Iterator[tuple[str, Callable[[], bytes]]]:
    for file in root.rglob("*"):
        if file.is_file():
            yield file.relative_to(root).as_posix(), file.read_bytes


def _remote_files(root: str) -> Iterator[tuple[str, Callable[[], bytes]]]:
    from tfx.dsl.io import fileio

    def read(path: str) -> bytes:
        with fileio.open(path, "rb") as file:
            content: bytes = file.read()
        return content

    for folder, _, names in fileio.walk(root):
        for name in names:
            path = f"{folder.rstrip('/')}/{name}"
            yield path[len(root) + 1 :], functools.partial(read, path)


# No build or unpacking takes this long: an older temporary folder was left by a killed process.
_STALE_AFTER_S: Final = 3600


def cache_dir() -> Path:
    """Returns the folder of built and downloaded backbones, which need not exist yet.

    It is TF Hub's `TFHUB_CACHE_DIR` if set, else `flowers-pipeline/backbones` in `XDG_CACHE_HOME` or ~/.cache.
    """
    if hub_cache := os.environ.get("TFHUB_CACHE_DIR"):
        return Path(hub_cache)
    user_cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(user_cache) / "flowers-pipeline" / "backbones"


def kaggle_cache_dir() -> Path:
    """Returns kagglehub's cache folder: `KAGGLEHUB_CACHE`, else `TFHUB_CACHE_DIR`, else kagglehub's own default."""
    given = os.environ.get("KAGGLEHUB_CACHE") or os.environ.get("TFHUB_CACHE_DIR")
    return Path(given or Path.home() / ".cache" / "kagglehub")


def kaggle_folder(handle: str) -> Path:
    """Returns the folder in which kagglehub keeps a version of a model."""
    return kaggle_cache_dir() / "models" / handle


def hub_folder(url: str) -> Path:
    """Returns the cache folder of a downloaded module: TF Hub's client names it by the SHA-1 of the URL."""
    return cache_dir() / hashlib.sha1(url.encode(), usedforsecurity=False).hexdigest()


def writable_cache_dir() -> Path:
    """Creates the cache folder if needed, and removes what killed processes left; raises UserError if not writable."""
    folder = cache_dir()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"cannot create the backbone cache {folder} ({error.strerror}): set TFHUB_CACHE_DIR to a writable folder"
        ) from error
    if not os.access(folder, os.W_OK):
        raise UserError(f"cannot write to the backbone cache {folder}: set TFHUB_CACHE_DIR to a writable folder")
    for leftover in folder.glob("*.tmp"):
        if leftover.is_dir() and time.time() - leftover.stat().st_mtime > _STALE_AFTER_S:
            shutil.rmtree(leftover, ignore_errors=True)
    return folder
