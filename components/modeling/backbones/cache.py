"""Where backbones are kept between runs."""

import os
import shutil
import time
from pathlib import Path
from typing import Final

from components.common.errors import UserError

# No build or unpacking takes this long: an older temporary folder was left by a killed process.
_STALE_AFTER_S: Final = 3600


def cache_dir() -> Path:
    """Returns the folder that holds built and downloaded backbones; it need not exist yet.

    Returns:
        `TFHUB_CACHE_DIR` if set (TF Hub's own variable), else `flowers-pipeline/backbones` in the user's cache
        folder (`XDG_CACHE_HOME`, by default ~/.cache).
    """
    if hub_cache := os.environ.get("TFHUB_CACHE_DIR"):
        return Path(hub_cache)
    user_cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(user_cache) if user_cache else Path.home() / ".cache") / "flowers-pipeline" / "backbones"


def writable_cache_dir() -> Path:
    """Returns the cache folder, created, and freed of what killed processes left behind.

    Raises:
        UserError: The folder cannot be written to.
    """
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
