"""Executor of Pusher that never shows a half-written version, and says which one is the latest."""

import json
import time
import uuid
from typing import Any, Final

from tfx import types
from tfx.components.pusher import executor as pusher_executor
from tfx.dsl.io import fileio
from tfx.proto import pusher_pb2
from tfx.types import artifact_utils
from tfx.utils import proto_utils

from components.common.errors import UserError
from components.common.records import from_json
from components.contracts.drift import DRIFT_KEY, SAMPLE_FILE
from components.contracts.evaluation import METRICS_FILE, EvaluationMetrics
from components.contracts.serving_folder import (
    BASELINE_VERSION_PROPERTY,
    LATEST_BLESSED_FILE,
    NO_VERSION,
    PHOTOS_FOLDER,
    STAGING_PREFIX,
    LatestBlessed,
    latest_version,
    path_in,
    photos_path,
    read_latest,
)
from components.modeling.backbones.digest import content_digest
from components.pusher.push_turns import push_turn
from components.storage.atomic import write_atomically

EVALUATION_KEY: Final = "evaluation"
BASELINE_KEY: Final = "baseline_model"


class Executor(pusher_executor.Executor):
    """Copies the model beside the serving folder's versions, then renames it to its version in one step.

    TF Serving only reads folders with a number for a name, so the copy is invisible until it is complete. TFX's own
    executor copies straight into the version's folder. A version is the time in seconds, and always higher than those
    that are there. Afterwards the pointer in the serving folder (`LatestBlessed`) names it.

    With a `baseline_model` from that pointer, the push fails when the pointer has moved since: the model was compared
    with one that is not the latest any more.
    """

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        destination = pusher_pb2.PushDestination()
        proto_utils.json_to_proto(exec_properties["push_destination"], destination)
        base = destination.filesystem.base_directory
        model_push = artifact_utils.get_single_instance(output_dict["pushed_model"])
        if not self.CheckBlessing(input_dict):
            self._MarkNotPushed(model_push)
            return
        fileio.makedirs(base)
        # Another run may be pushing to the same folder.
        staging = path_in(base, f"{STAGING_PREFIX}{uuid.uuid4().hex}")
        destination.filesystem.base_directory = staging
        try:
            super().Do(
                input_dict, output_dict, {**exec_properties, "push_destination": proto_utils.proto_to_json(destination)}
            )
            staged = model_push.get_string_custom_property("pushed_destination")
            version = _push(base, staged, model_push.uri, input_dict)
            _keep_sample(base, version, input_dict.get(DRIFT_KEY, []))
        finally:
            # An object store has no empty folders: there the renames took the staging folder along.
            if fileio.exists(staging):
                fileio.rmtree(staging)
        self._MarkPushed(model_push, pushed_destination=path_in(base, version), pushed_version=version)


def _keep_sample(base: str, version: str, drifts: list[types.Artifact]) -> None:
    """Copies the sample of photos that later ones are compared with where no Resolver finds it."""
    for drift in drifts:
        fileio.makedirs(path_in(base, PHOTOS_FOLDER))
        fileio.copy(path_in(drift.uri, SAMPLE_FILE), photos_path(base, version), overwrite=True)


def _push(base: str, staged: str, push: str, input_dict: dict[str, list[types.Artifact]]) -> str:
    """Makes the staged copy a version, moves the pointer, returns the version; `push` names it among other pushes."""
    evaluation = artifact_utils.get_single_instance(input_dict[EVALUATION_KEY])
    if not input_dict.get(BASELINE_KEY):
        return _push_now(base, staged, evaluation, None)
    baseline = artifact_utils.get_single_instance(input_dict[BASELINE_KEY])
    compared = baseline.get_string_custom_property(BASELINE_VERSION_PROPERTY)
    with push_turn(base, push):
        return _push_now(base, staged, evaluation, compared)


def _push_now(base: str, staged: str, evaluation: types.Artifact, compared: str | None) -> str:
    latest = latest_version(base)
    # The same model is there when a push was killed after the rename: it only remains to be recorded.
    if latest and content_digest(path_in(base, str(latest))) == content_digest(staged):
        version = str(latest)
    else:
        if compared is not None:
            _check_pointer(base, compared)
        version = str(max(int(time.time()), latest + 1))
        fileio.rename(staged, path_in(base, version))
    pointer = _described(path_in(base, version), version, evaluation, compared or NO_VERSION)
    write_atomically(path_in(base, LATEST_BLESSED_FILE), pointer.to_json())
    return version


def _check_pointer(base: str, compared: str) -> None:
    """Raises UserError when another model than the baseline is the latest by now."""
    latest = read_latest(base)
    if (latest.version if latest else NO_VERSION) == compared:
        return
    found = f"version {latest.version} (test accuracy {latest.accuracy:.4f}) was pushed" if latest else "it was removed"
    given = "no model, for there was none" if compared == NO_VERSION else f"version {compared}"
    raise UserError(
        f"this model was compared with {given}, and since then {found} in {base}: nothing was pushed; run again to "
        "compare with what is there now"
    )


def _described(uri: str, version: str, evaluation: types.Artifact, compared: str) -> LatestBlessed:
    with fileio.open(path_in(evaluation.uri, METRICS_FILE), "r") as file:
        metrics = from_json(EvaluationMetrics, json.loads(file.read()))
    return LatestBlessed(
        version=version,
        uri=uri,
        class_names=[entry.name for entry in metrics.classes],
        examples=metrics.examples,
        accuracy=metrics.accuracy,
        loss=metrics.loss,
        baseline_version=compared,
    )
