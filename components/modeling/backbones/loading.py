"""From a backbone's name, URL or path to a checked SavedModel folder."""

import logging
import os
import shutil
from pathlib import Path
from typing import Final

from components.common.errors import UserError
from components.modeling.backbones.cache import content_digest, hub_folder, kaggle_folder, writable_cache_dir
from components.modeling.backbones.contract import BackboneInfo, inspect_backbone
from components.modeling.backbones.embedded import embedded_backbone
from components.modeling.backbones.registry import BACKBONES, find_backbone, is_url, kaggle_handle
from components.storage.atomic import exclusive_lock, write_atomically

logger = logging.getLogger(__name__)

_KAGGLE_MODELS: Final = "https://www.kaggle.com/models/"
_OFFLINE: Final = (
    "set KAGGLE_API_TOKEN if Kaggle wants an account, or use --backbone FOLDER (a downloaded SavedModel) or "
    "--backbone efficientnet_lite0 (needs no network)"
)


def load_backbone(backbone: str) -> str:
    """Returns the SavedModel folder of a backbone; downloads or builds it if the cache has no intact copy.

    Args:
        backbone: A registry name, a Kaggle handle or address, a Hub URL, the URL of a .tar.gz, or the path of a
            SavedModel folder.

    Raises:
        UserError: The name is unknown, the folder is not a SavedModel, the download failed, or the package of an
            embedded backbone is missing.
    """
    known = find_backbone(backbone)
    if known and known.embedded:
        return str(embedded_backbone(known))
    if addresses := _addresses(backbone):
        return _existing_folder(_download(backbone, addresses, known.source_sha256 if known else None))
    return _existing_folder(backbone)


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
            f"unknown backbone {path!r}: give {', '.join(BACKBONES)}, a Kaggle handle OWNER/MODEL/tensorFlow2/"
            "VARIATION/VERSION, a TF Hub URL, or a SavedModel folder that exists"
        )
    if not any(exists(f"{path}/{name}") for name in ("saved_model.pb", "saved_model.pbtxt")):
        raise UserError(f"backbone {path} is not a SavedModel folder: it holds no saved_model.pb")
    return path


def _addresses(backbone: str) -> list[str]:
    """Returns where a backbone can be downloaded: Kaggle handles and URLs, in the order to try; none for a folder."""
    if known := find_backbone(backbone):
        return [address for address in (known.kaggle, known.handle) if address]
    if kaggle := kaggle_handle(backbone):
        # TF Hub's protocol is also that of Kaggle's web addresses, if they name a version.
        return [kaggle, f"{_KAGGLE_MODELS}{kaggle}"] if _has_version(kaggle) else [kaggle]
    if backbone.startswith(_KAGGLE_MODELS):
        raise UserError(
            f"backbone {backbone} is not a TensorFlow 2 variation of a model: give "
            "OWNER/MODEL/tensorFlow2/VARIATION/VERSION, which Kaggle shows under Download"
        )
    return [backbone] if is_url(backbone) else []


def _download(backbone: str, addresses: list[str], source_sha256: str | None) -> str:
    """Returns the folder of a downloaded module; Kaggle handles and URLs are tried in their order.

    Its content must have the digest that was recorded after the download.
    """
    from components.modeling.backbones.hub_download import DownloadError

    for address in addresses:
        folder, _, intact = _copy(address)
        if intact:
            return str(folder)
    failures = []
    with exclusive_lock(writable_cache_dir() / "downloads.lock"):
        for address in addresses:
            try:
                return str(_fetch(address, source_sha256))
            except DownloadError as error:
                failures.append(f"{address}: {error}")
                logger.info("Cannot download %s", failures[-1])
    raise UserError(f"cannot download backbone {backbone}: {'; '.join(failures)}; {_OFFLINE}")


def _fetch(address: str, source_sha256: str | None) -> Path:
    from components.modeling.backbones.hub_download import download_archive, download_from_kaggle

    if not is_url(address) and not _has_version(address):
        address = f"{address}/{download_from_kaggle(address).name}"
    folder, record, intact = _copy(address)
    if intact:  # another process was first
        return folder
    if damaged := folder.is_dir() and record.exists():
        logger.info("Downloading %s again: the cached copy in %s is damaged", address, folder)
    if not is_url(address):
        folder = download_from_kaggle(address, again=damaged)
    elif damaged or not folder.is_dir():
        shutil.rmtree(folder, ignore_errors=True)
        download_archive(address, folder, source_sha256)
    write_atomically(record, content_digest(str(folder)))
    return folder


def _copy(address: str) -> tuple[Path, Path, bool]:
    """Returns the folder of a download, the file with its recorded digest, and whether it has that digest."""
    folder = hub_folder(address) if is_url(address) else kaggle_folder(address)
    record = hub_folder(address).with_suffix(".sha256")
    return folder, record, folder.is_dir() and record.exists() and record.read_text() == content_digest(str(folder))


def _has_version(kaggle: str) -> bool:
    return kaggle.rpartition("/")[2].isdigit()
