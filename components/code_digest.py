"""Content digests of this project's code, for TFX's cache.

TFX's cache key holds the name of a function or executor, never its code. Components that run code of this project
carry a digest of that code as an execution parameter, so that an edit is never answered from a stale cache.
Called by the constructors in `components/*/component.py` and by `pipeline.create_pipeline`.
"""

import hashlib
from pathlib import Path

_ROOT = Path(__file__).resolve().parent


def code_digest(*names: str) -> str:
    """Digests the source of modules and packages below `components`.

    Args:
        *names: Module files or package folders relative to `components`, such as "model/trainer.py" or "backbones".

    Returns:
        The first 16 hexadecimal digits of the SHA-256 over the relative paths and contents of the .py files.

    Raises:
        FileNotFoundError: A name is neither a file nor a folder with .py files.
    """
    digest = hashlib.sha256()
    for name in sorted(names):
        path = _ROOT / name
        files = sorted(path.rglob("*.py")) if path.is_dir() else [path]
        if not files:
            raise FileNotFoundError(f"no Python source in {path}")
        for file in files:
            digest.update(str(file.relative_to(_ROOT)).encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:16]
