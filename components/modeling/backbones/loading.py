"""From a backbone's name, URL or path to a checked SavedModel folder."""

import logging
import os
import shutil
import tarfile
import zlib
from pathlib import Path
from typing import Final

from components.common.errors import UserError
from components.modeling.backbones.cache import cache_dir, content_digest, hub_folder, writable_cache_dir
from components.modeling.backbones.contract import BackboneInfo, inspect_backbone
from components.modeling.backbones.embedded import embedded_backbone
from components.modeling.backbones.registry import BACKBONES, find_backbone, is_url, resolve_handle
from components.storage.atomic import write_atomically

logger = logging.getLogger(__name__)

_OFFLINE: Final = "use --backbone efficientnet_lite0 (needs no network) or --backbone FOLDER (a SavedModel)"


def load_backbone(backbone: str) -> str:
    """Returns the SavedModel folder of a backbone; downloads or builds it if the cache has no intact copy.

    Args:
        backbone: A registry name, a Hub URL, the URL of a .tar.gz, or the path of a SavedModel folder.

    Raises:
        UserError: The name is unknown, the folder is not a SavedModel, the download failed, or the package of an
            embedded backbone is missing.
    """
    known = find_backbone(backbone)
    handle = resolve_handle(backbone)
    if known and known.embedded:
        return str(embedded_backbone(known))
    if is_url(handle):
        return str(_download(handle, known.source_sha256 if known else None))
    return _existing_folder(handle)


def prepare_backbone(backbone: str, image_size: tuple[int, int] | None = None) -> tuple[str, BackboneInfo]:
    """Loads a backbone into a SavedModel folder, and checks it against the contract and its registry entry.

    Images have `image_size`, height and width in pixels, by default the registry's or the model's own.
    """
    if known := find_backbone(backbone):
        size = known.input_size(image_size)
        path = load_backbone(backbone)
        return path, inspect_backbone(path, size, known.feature_size, known.name)
    path = load_backbone(backbone)
    return path, inspect_backbone(path, image_size, name=backbone)


def _existing_folder(path: str) -> str:
    if "://" in path:
        import tensorflow as tf

        is_folder, exists = tf.io.gfile.isdir, tf.io.gfile.exists
    else:
        is_folder, exists = os.path.isdir, os.path.exists
    if not is_folder(path):
        raise UserError(
            f"unknown backbone {path!r}: give {', '.join(BACKBONES)}, a TF Hub URL, or a SavedModel folder that exists"
        )
    if not any(exists(f"{path}/{name}") for name in ("saved_model.pb", "saved_model.pbtxt")):
        raise UserError(f"backbone {path} is not a SavedModel folder: it holds no saved_model.pb")
    return path


def _download(url: str, source_sha256: str | None) -> Path:
    """Returns Hub's cache folder of a URL; its content must have the digest recorded after the download."""
    folder = hub_folder(url)
    record = folder.with_name(f"{folder.name}.sha256")
    recorded = record.read_text() if record.exists() else None
    digest = content_digest(str(folder)) if folder.is_dir() else None
    if digest is not None and digest == recorded:
        return folder
    writable_cache_dir()
    if digest is not None and recorded is not None:
        logger.info("Downloading %s again: the cached copy in %s is damaged", url, folder)
        shutil.rmtree(folder)
        digest = None
    if digest is None:
        _fetch(url, source_sha256)
    write_atomically(record, content_digest(str(folder)))
    return folder


def _fetch(url: str, source_sha256: str | None) -> None:
    import tensorflow as tf

    from components.modeling.backbones.hub_download import download_module

    # Hub's own default is the system's temporary folder, which is emptied at a restart.
    os.environ.setdefault("TFHUB_CACHE_DIR", str(cache_dir()))
    logger.info("Downloading backbone %s", url)
    try:
        download_module(url, source_sha256)
    except (OSError, ValueError, EOFError, zlib.error, tarfile.TarError) as error:
        reason = str(error).removeprefix(f"{url} ").rstrip(".")
        raise UserError(f"cannot download backbone {url}: {reason}; {_OFFLINE}") from error
    except tf.errors.OpError as error:
        raise UserError(f"cannot unpack backbone {url} in {cache_dir()}: {error.message}") from error
