"""TFX's Pusher, with an executor that pushes atomically and keeps a pointer to the latest version."""

import contextlib
import hashlib
import json
import time
import uuid
from collections.abc import Iterator
from typing import Any, ClassVar, Final

from tfx import types
from tfx.components.pusher import component, executor
from tfx.dsl.components.base import base_component, executor_spec
from tfx.dsl.io import fileio
from tfx.proto import pusher_pb2
from tfx.types import artifact_utils, component_spec, standard_artifacts, standard_component_specs
from tfx.utils import io_utils, json_utils, proto_utils

from components.common.errors import UserError
from components.common.records import from_json
from components.contracts import serving_folder
from components.contracts.artifact_types import Drift
from components.contracts.drift import DRIFT_KEY, SAMPLE_FILE
from components.contracts.evaluation import METRICS_FILE, EvaluationMetrics
from components.contracts.output_folder import WRITTEN_DIGEST_PROPERTY
from components.contracts.serving_folder import EXTRA_ASSETS_FOLDER, NO_VERSION, PUSHING_PREFIX, LatestBlessed, path_in
from components.modeling.backbones.cache import content_digest
from components.storage.atomic import write_atomically

_EVALUATION_KEY: Final = "evaluation"
_BASELINE_KEY: Final = "baseline_model"
# A push takes seconds once its copy is complete: an older mark was left by one that was killed.
_STALE_SECONDS: Final = 900


class Executor(executor.Executor):
    """Copies the model beside the serving folder's versions, then renames it to its version in one step.

    TensorFlow Serving reads only folders whose name is a number, so the copy is invisible until it is complete; TFX's
    own executor copies straight into the version's folder. A version is the time in seconds, and higher than all
    others. Afterwards the pointer in the serving folder (`LatestBlessed`) names it.

    With a `baseline_model` from that pointer, the push fails if the pointer has changed since: the model was compared
    with one that is no longer the latest.
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
        _check_unchanged(artifact_utils.get_single_instance(input_dict["model"]))
        fileio.makedirs(base)
        # Another run may be pushing to the same folder.
        staging = path_in(base, f"{serving_folder.STAGING_PREFIX}{uuid.uuid4().hex}")
        destination.filesystem.base_directory = staging
        try:
            super().Do(
                input_dict, output_dict, {**exec_properties, "push_destination": proto_utils.proto_to_json(destination)}
            )
            staged = model_push.get_string_custom_property("pushed_destination")
            version = _push(base, staged, model_push.uri, input_dict)
            for drift in input_dict.get(DRIFT_KEY, []):
                fileio.makedirs(path_in(base, serving_folder.PHOTOS_FOLDER))
                sample = path_in(drift.uri, SAMPLE_FILE)
                fileio.copy(sample, serving_folder.photos_path(base, version), overwrite=True)
        finally:
            # An object store has no empty folders: there the renames removed the staging folder.
            if fileio.exists(staging):
                fileio.rmtree(staging)
        self._MarkPushed(model_push, pushed_destination=path_in(base, version), pushed_version=version)


def _check_unchanged(model: types.Artifact) -> None:
    """Raises UserError if the model's files are not those that were recorded when it was written, if they were."""
    recorded = model.get_string_custom_property(WRITTEN_DIGEST_PROPERTY)
    if recorded and content_digest(model.uri) != recorded:
        raise UserError(
            f"the files of the model in {model.uri} have changed since it was trained: nothing was pushed; run again "
            "to train it again"
        )


def _push(base: str, staged: str, push: str, input_dict: dict[str, list[types.Artifact]]) -> str:
    """Makes the staged copy a version, updates the pointer and returns the version."""
    evaluation = artifact_utils.get_single_instance(input_dict[_EVALUATION_KEY])
    if not input_dict.get(_BASELINE_KEY):
        return _push_now(base, staged, evaluation, None)
    baseline = artifact_utils.get_single_instance(input_dict[_BASELINE_KEY])
    compared = baseline.get_string_custom_property(serving_folder.BASELINE_VERSION_PROPERTY)
    with _push_turn(base, push):
        return _push_now(base, staged, evaluation, compared)


def _push_now(base: str, staged: str, evaluation: types.Artifact, compared: str | None) -> str:
    latest = serving_folder.latest_version(base)
    # The latest version is this model if a push was killed after the rename: only its record is missing.
    if latest and content_digest(path_in(base, str(latest)), EXTRA_ASSETS_FOLDER) == content_digest(staged):
        version = str(latest)
    else:
        if compared is not None:
            _check_pointer(base, compared)
        version = str(max(int(time.time()), latest + 1))
        fileio.rename(staged, path_in(base, version))
    pointer = _described(path_in(base, version), version, evaluation, compared or NO_VERSION)
    write_atomically(path_in(base, serving_folder.LATEST_BLESSED_FILE), pointer.to_json())
    return version


def _check_pointer(base: str, compared: str) -> None:
    """Raises UserError if the latest model is no longer the baseline."""
    latest = serving_folder.read_latest(base)
    if (latest.version if latest else NO_VERSION) == compared:
        return
    found = f"version {latest.version} (test accuracy {latest.accuracy:.4f}) was pushed" if latest else "it was removed"
    given = "no baseline" if compared == NO_VERSION else f"version {compared}"
    raise UserError(
        f"this model was compared with {given}, and since then {found} in {base}: nothing was pushed; run again to "
        "compare with the latest model"
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


@contextlib.contextmanager
def _push_turn(folder: str, push: str) -> Iterator[None]:
    """Marks a push in the serving folder while it lasts, on storage that has no locks.

    Each push writes its own mark before it looks for others: of two at once, at least one sees the other and raises
    UserError. A retry after a kill has the same `push`, which identifies it.
    """
    key = hashlib.sha256(push.encode()).hexdigest()[:16]
    mark = f"{PUSHING_PREFIX}{int(time.time())}-{key}"
    io_utils.write_string_file(path_in(folder, mark), "A model is being pushed.\n")
    try:
        for name in _marks(folder):
            seconds = int(time.time() - int(name.removeprefix(PUSHING_PREFIX).partition("-")[0]))
            if not name.endswith(key) and seconds < _STALE_SECONDS:
                raise UserError(
                    f"another run has been pushing to {folder} for {seconds} s (its mark is {name}): nothing was "
                    "pushed; run again"
                )
        yield
    finally:
        for name in _marks(folder):
            if name.endswith(key):
                fileio.remove(path_in(folder, name))


def _marks(folder: str) -> list[str]:
    return [name for name in serving_folder.names_in(folder) if name.startswith(PUSHING_PREFIX)]


class PusherSpec(standard_component_specs.PusherSpec):
    """TFX's, with the model's evaluation and drift, and the model that it was compared with."""

    INPUTS: ClassVar[dict[str, Any]] = {
        **standard_component_specs.PusherSpec.INPUTS,
        _EVALUATION_KEY: component_spec.ChannelParameter(type=standard_artifacts.ModelEvaluation),
        _BASELINE_KEY: component_spec.ChannelParameter(type=standard_artifacts.Model, optional=True),
        DRIFT_KEY: component_spec.ChannelParameter(type=Drift, optional=True),
    }


class Pusher(component.Pusher):
    """TFX's Pusher; a version appears in the serving folder whole or not at all."""

    SPEC_CLASS = PusherSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        *,
        model: types.BaseChannel,
        model_blessing: types.BaseChannel,
        evaluation: types.BaseChannel,
        serving_model_dir: str,
        baseline_model: types.BaseChannel | None = None,
        drift: types.BaseChannel | None = None,
    ):
        """Takes the model's evaluation on the test split.

        `baseline_model` is a BaselineReader's, if the model was compared with that one. The sample of photos in `drift`
        is kept beside the versions.
        """
        filesystem = pusher_pb2.PushDestination.Filesystem(base_directory=serving_model_dir)
        spec = PusherSpec(
            model=model,
            model_blessing=model_blessing,
            evaluation=evaluation,
            baseline_model=baseline_model,
            drift=drift,
            push_destination=pusher_pb2.PushDestination(filesystem=filesystem),
            custom_config=json_utils.dumps(None),
            pushed_model=types.Channel(type=standard_artifacts.PushedModel),
        )
        # TFX's own constructor accepts no other inputs than its spec's.
        base_component.BaseComponent.__init__(self, spec=spec)
