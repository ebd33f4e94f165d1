"""Artifacts in a bucket: components work on copies on this machine, as they do in Kubeflow's containers.

TensorFlow does not know s3://, and reads its input many times.
"""

import contextlib
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from tfx.orchestration.portable import beam_executor_operator, data_types, python_executor_operator
from tfx.proto.orchestration import executable_spec_pb2, execution_result_pb2
from tfx.types import Artifact

from components.common.errors import storage_errors
from components.contracts.output_folder import PIPELINES_FOLDER
from components.storage.objects import download_folder, is_remote, list_objects, upload_folder
from components.storage.tfx_filesystem import register_buckets

_KEPT_FILE: Final = ".keep"
_RunExecutor = Callable[[data_types.ExecutionInfo], execution_result_pb2.ExecutorOutput]


class BucketArtifacts:
    """The artifacts of a pipeline whose root is in a bucket, and their copies in the output folder."""

    def __init__(self, bucket: str, output: str):
        """Checks that the bucket can be read.

        Args:
            bucket: The URI below which artifacts are.
            output: The output folder on this machine.

        Raises:
            UserError: The bucket cannot be read.
        """
        self._bucket, self._output = bucket, output
        register_buckets()
        with _storage_errors(bucket):
            next(list_objects(f"{bucket}/{PIPELINES_FOLDER}"), None)

    def operators(self) -> dict[Any, Any]:
        """Returns the operators that TFX's launcher runs executors with."""
        artifacts = self

        class PythonOperator(python_executor_operator.PythonExecutorOperator):
            def run_executor(self, execution_info: data_types.ExecutionInfo) -> execution_result_pb2.ExecutorOutput:
                return artifacts.run_on_copies(execution_info, super().run_executor)

        class BeamOperator(beam_executor_operator.BeamExecutorOperator):
            def run_executor(
                self, execution_info: data_types.ExecutionInfo, make_beam_pipeline_fn: Any = None
            ) -> execution_result_pb2.ExecutorOutput:
                return artifacts.run_on_copies(
                    execution_info, lambda info: super(BeamOperator, self).run_executor(info, make_beam_pipeline_fn)
                )

        return {
            executable_spec_pb2.PythonClassExecutableSpec: PythonOperator,
            executable_spec_pb2.BeamExecutableSpec: BeamOperator,
        }

    def run_on_copies(self, info: data_types.ExecutionInfo, run: _RunExecutor) -> execution_result_pb2.ExecutorOutput:
        """Runs an executor on copies of its inputs, copies its outputs to the bucket, and returns its result.

        Raises:
            UserError: The bucket cannot be read or written.
        """
        with self._clearing_away(info):
            for artifact in _all(info.input_dict):
                self._fetch(artifact.uri)
            with self._local(info):
                for artifact in _all(info.output_dict):
                    Path(artifact.uri).mkdir(parents=True, exist_ok=True)
                result = run(info)
        for written in result.output_artifacts.values():
            for proto in written.artifacts:
                self._send(proto.uri)
                proto.uri = self._remote_of(proto.uri)
                for value in proto.custom_properties.values():
                    if value.WhichOneof("value") == "string_value":
                        value.string_value = self._remote_of(value.string_value)
        return result

    @contextlib.contextmanager
    def _local(self, info: data_types.ExecutionInfo) -> Iterator[None]:
        """Points an execution at the copies while its executor runs."""
        artifacts = [*_all(info.input_dict), *_all(info.output_dict)]
        uris = [artifact.uri for artifact in artifacts]
        folders = {name: getattr(info, name) for name in ("tmp_dir", "stateful_working_dir", "execution_output_uri")}
        for artifact in artifacts:
            artifact.uri = self._local_of(artifact.uri)
        for name, uri in folders.items():
            setattr(info, name, self._local_of(uri))
        try:
            yield
        finally:
            for artifact, uri in zip(artifacts, uris, strict=True):
                artifact.uri = uri
            for name, uri in folders.items():
                setattr(info, name, uri)

    @contextlib.contextmanager
    def _clearing_away(self, info: data_types.ExecutionInfo) -> Iterator[None]:
        """Removes the outputs of an execution that fails: TFX would look for them in the bucket."""
        try:
            yield
        except Exception:
            for artifact in _all(info.output_dict):
                shutil.rmtree(self._local_of(artifact.uri), ignore_errors=True)
                artifact.is_external = True
            raise

    def _local_of(self, uri: str) -> str:
        # An earlier run may have had another bucket.
        _, found, below = uri.partition(f"/{PIPELINES_FOLDER}/") if is_remote(uri) else ("", "", "")
        return f"{self._output}/{PIPELINES_FOLDER}/{below}" if found else uri

    def _remote_of(self, path: str) -> str:
        root = f"{self._output}/{PIPELINES_FOLDER}/"
        return f"{self._bucket}/{PIPELINES_FOLDER}/{path.removeprefix(root)}" if path.startswith(root) else path

    def _fetch(self, uri: str) -> None:
        """Copies an artifact from the bucket, unless there is a copy."""
        target = Path(self._local_of(uri))
        if not is_remote(uri) or target.exists():
            return
        for leftover in target.parent.glob(f"{target.name}.*.tmp"):
            shutil.rmtree(leftover)
        with _storage_errors(uri):
            download_folder(uri, [name for name, _ in list_objects(uri)], target)

    def _send(self, path: str) -> None:
        """Copies an artifact to the bucket."""
        uri = self._remote_of(path)
        if not any(Path(path).iterdir()):
            # A bucket has no empty folders, and TFX's cache takes an artifact without a folder for lost.
            (Path(path) / _KEPT_FILE).touch()
        with _storage_errors(uri):
            upload_folder(Path(path), uri)


def _all(artifacts: dict[str, list[Artifact]]) -> Iterable[Artifact]:
    return [artifact for found in artifacts.values() for artifact in found]


def _storage_errors(uri: str) -> contextlib.AbstractContextManager[None]:
    return storage_errors(f"cannot keep artifacts in {uri}")
