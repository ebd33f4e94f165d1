"""Executor of Pusher that never shows a half-written version."""

import os
import time
import uuid
from typing import Any

from tfx import types
from tfx.components.pusher import executor as pusher_executor
from tfx.dsl.io import fileio
from tfx.proto import pusher_pb2
from tfx.types import artifact_utils
from tfx.utils import proto_utils

from components.common.contracts.output_folder import STAGING_PREFIX
from components.modeling.backbones.digest import content_digest


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
        # Another run may be pushing to the same folder.
        staging = _path(base, f"{STAGING_PREFIX}{uuid.uuid4().hex}")
        destination.filesystem.base_directory = staging
        super().Do(
            input_dict, output_dict, {**exec_properties, "push_destination": proto_utils.proto_to_json(destination)}
        )
        staged = model_push.get_string_custom_property("pushed_destination")
        latest = _latest_version(base)
        # The same model is there when a push was killed after the rename: it only remains to be recorded.
        if latest and content_digest(_path(base, str(latest))) == content_digest(staged):
            version = str(latest)
        else:
            version = str(max(int(time.time()), latest + 1))
            fileio.rename(staged, _path(base, version))
        # An object store has no empty folders: there the rename took the staging folder along.
        if fileio.exists(staging):
            fileio.rmtree(staging)
        self._MarkPushed(model_push, pushed_destination=_path(base, version), pushed_version=version)


def _latest_version(base: str) -> int:
    """Returns a serving folder's highest version, 0 if it has none."""
    return max((int(name) for name in _children(base) if name.isdigit()), default=0)


def _children(base: str) -> list[str]:
    # On an object store a folder is there as soon as something is in it.
    return [name.rstrip("/") for name in fileio.listdir(base)] if fileio.exists(base) else []


def _path(base: str, name: str) -> str:
    return os.path.join(base, name)  # noqa: PTH118  (base may be a remote URI)
