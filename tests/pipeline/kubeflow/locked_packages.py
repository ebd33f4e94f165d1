"""The packages of a lock file."""

import re
from pathlib import Path

from packaging.utils import canonicalize_name

IMAGE_LOCK, PROJECT_LOCK = "requirements-image.txt", "requirements-tfx-1.21.txt"
# What belongs to no stack: data alone.
BACKBONES_LOCK = "requirements-backbones.txt"
_FOLDER = Path(__file__).parents[3] / "environment"


def locked_packages(lock: str) -> dict[str, str]:
    """Returns versions by canonical names."""
    locked = re.findall(r"^([\w.-]+)==([^ ;]+)", (_FOLDER / lock).read_text(), re.MULTILINE)
    return {canonicalize_name(name): version for name, version in locked}
