"""The SavedModel of `predict`: the latest pushed one, one in a folder, or one in a bucket, copied to this machine."""

import hashlib
import json
from collections.abc import Collection
from pathlib import Path
from typing import Final

from components.common.errors import UserError, storage_errors
from components.contracts.output_folder import FETCHED_MODELS_FOLDER, SERVING_MODEL_FOLDER
from components.storage.objects import download_folder, is_remote, list_objects

_SAVED_MODEL_FILE: Final = "saved_model.pb"
_TFX_FOLDER: Final = "Format-Serving"  # of a Model artifact


def find_model(output: Path, model: str | None) -> Path:
    """Returns the SavedModel folder to use; for a model in a bucket, a copy below `output`.

    `model` is a SavedModel folder, a Model artifact or a folder of numbered versions (the highest is used), as a path
    or URI; None is the latest version pushed below `output`. Raises UserError if there is none.
    """
    if model is None:
        return _pushed_model(output)
    if is_remote(model):
        return _fetch(model.rstrip("/"), output)
    folder = Path(model).expanduser()
    files = [
        str(file.relative_to(folder)) for pattern in ("", "*/") for file in folder.glob(pattern + _SAVED_MODEL_FILE)
    ]
    return folder / _saved_model_of(files, model)


def _pushed_model(output: Path) -> Path:
    versions = [path for path in (output / SERVING_MODEL_FOLDER).glob("*/*") if path.name.isdigit() and path.is_dir()]
    if not versions:
        raise UserError(
            f"no model was pushed below {output} yet: `why` explains the latest run; --model accepts any SavedModel, "
            "such as those listed by `artifacts --type Model`"
        )
    return max(versions, key=lambda path: int(path.name))


def _saved_model_of(files: Collection[str], model: str) -> str:
    """Returns the SavedModel's folder in a listing: "", a Model artifact's, or the highest version."""
    folders = {name.removesuffix(_SAVED_MODEL_FILE).rstrip("/") for name in files if name.endswith(_SAVED_MODEL_FILE)}
    versions = sorted((name for name in folders if name.isdigit()), key=int, reverse=True)
    found = next((name for name in ("", _TFX_FOLDER, *versions) if name in folders), None)
    if found is None:
        raise UserError(
            f"no SavedModel in --model {model}: it contains neither {_SAVED_MODEL_FILE} nor numbered versions"
        )
    return found


def _fetch(uri: str, output: Path) -> Path:
    """Copies a SavedModel from a bucket, unless the same files were copied before."""
    with storage_errors(f"cannot copy the model {uri} to {output}"):
        listed = dict(list_objects(uri))
        folder = _saved_model_of(listed, uri)
        start = f"{folder}/" if folder else ""
        files = {name.removeprefix(start): version for name, version in listed.items() if name.startswith(start)}
        digest = hashlib.sha256(json.dumps([uri, start, files], sort_keys=True).encode()).hexdigest()
        target = output / FETCHED_MODELS_FOLDER / digest[:16]
        if not target.is_dir():
            download_folder(f"{uri}/{start}".rstrip("/"), files, target)
    return target
