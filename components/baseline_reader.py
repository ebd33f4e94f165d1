"""BaselineReader, which finds the latest blessed model in the serving folder: Kubeflow Pipelines has no Resolver."""

import logging

from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.dsl.io import fileio
from tfx.types import standard_artifacts
from tfx.utils import io_utils, path_utils

from components.common.errors import UserError
from components.contracts import serving_folder
from components.contracts.drift import SAMPLE_FILE
from components.contracts.serving_folder import EXTRA_ASSETS_FOLDER, LATEST_BLESSED_FILE, NO_VERSION, path_in
from components.modeling.backbones.cache import content_digest

logger = logging.getLogger(__name__)


@component
def BaselineReader(
    serving_model_dir: Parameter[str],
    candidate: InputArtifact[standard_artifacts.Model],
    model: OutputArtifact[standard_artifacts.Model],
) -> None:
    """Copies the model that was pushed last, and the sample of its photos for DriftDetector if there is one.

    When a run is repeated, its candidate is the model that was pushed last. The baseline is then the model that it was
    compared with the first time. Without a baseline the version is "none", and the artifact holds no model.
    """
    version = _baseline_version(serving_model_dir, path_utils.serving_model_path(candidate.uri))
    model.set_string_custom_property(serving_folder.BASELINE_VERSION_PROPERTY, version)
    if version == NO_VERSION:
        logger.info("No other model has been pushed to %s: there is no baseline", serving_model_dir)
        return
    io_utils.copy_dir(path_in(serving_model_dir, version), path_utils.serving_model_dir(model.uri))
    if fileio.exists(photos := serving_folder.photos_path(serving_model_dir, version)):
        fileio.copy(photos, path_in(model.uri, SAMPLE_FILE), overwrite=True)
    logger.info("The baseline is version %s of %s", version, serving_model_dir)


def _baseline_version(folder: str, candidate: str) -> str:
    latest = serving_folder.read_latest(folder)
    if latest is None:
        if version := serving_folder.latest_version(folder):
            logger.warning(
                "%s has version %d but no %s: none of its versions is the baseline",
                folder, version, LATEST_BLESSED_FILE,
            )  # fmt: skip
        return NO_VERSION
    if not fileio.exists(path_in(folder, latest.version)):
        raise UserError(
            f"{LATEST_BLESSED_FILE} in {folder} names version {latest.version}, which does not exist: restore it, or "
            f"delete {LATEST_BLESSED_FILE} to continue without a baseline"
        )
    if content_digest(path_in(folder, latest.version), EXTRA_ASSETS_FOLDER) != content_digest(candidate):
        return latest.version
    logger.info("The model is already version %s of %s", latest.version, folder)
    exists = latest.baseline_version != NO_VERSION and fileio.exists(path_in(folder, latest.baseline_version))
    return latest.baseline_version if exists else NO_VERSION
