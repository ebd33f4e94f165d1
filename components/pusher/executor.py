"""Executor of Pusher that never shows a half-written version.

Used by `pipeline.create_pipeline` as TFX Pusher's `custom_executor_spec`.
"""

import os
import time
from typing import Any

from tfx import types
from tfx.components.pusher import executor as pusher_executor
from tfx.dsl.io import fileio
from tfx.proto import pusher_pb2
from tfx.types import artifact_utils
from tfx.utils import proto_utils

_STAGING_PREFIX = ".staging-"


class Executor(pusher_executor.Executor):
    """Copies the model beside the serving folder's versions, then renames it to its version in one step.

    TF Serving only reads folders with a number for a name, so the copy is invisible until it is complete. TFX's own
    executor copies straight into the version's folder. A version is the time in seconds, and always higher than those
    that are there.
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
        _remove_stale_staging(base)
        staging = os.path.join(base, f"{_STAGING_PREFIX}{model_push.id}")  # noqa: PTH118  (base may be a remote URI)
        destination.filesystem.base_directory = staging
        super().Do(
            input_dict, output_dict, {**exec_properties, "push_destination": proto_utils.proto_to_json(destination)}
        )
        staged = model_push.get_string_custom_property("pushed_destination")
        version = next_version(base)
        path = os.path.join(base, version)  # noqa: PTH118
        fileio.rename(staged, path)
        fileio.rmtree(staging)
        self._MarkPushed(model_push, pushed_destination=path, pushed_version=version)


def next_version(base: str) -> str:
    """Returns the version that comes after all in a serving folder: the time in seconds, or the latest plus one."""
    versions = [int(name) for name in fileio.listdir(base) if name.isdigit()]
    return str(max([int(time.time()), *(version + 1 for version in versions)]))


def _remove_stale_staging(base: str) -> None:
    for name in fileio.listdir(base):
        if name.startswith(_STAGING_PREFIX):
            fileio.rmtree(os.path.join(base, name))  # noqa: PTH118
