"""Runs the pipeline on this machine, component after component."""

import contextlib
import datetime
import time
from typing import Protocol

from ml_metadata.proto import metadata_store_pb2
from tfx.dsl.compiler import constants
from tfx.orchestration import metadata
from tfx.orchestration.local import runner_utils
from tfx.orchestration.portable import launcher, runtime_parameter_utils, tfx_runner
from tfx.proto.orchestration import pipeline_pb2

from components.contracts.nodes import PUSHER
from components.contracts.output_folder import OUTPUT_CONTEXT_TYPE
from pipeline.config import PipelineConfig
from pipeline.graph import create_pipeline
from pipeline.local_run.bucket_artifacts import BucketArtifacts
from pipeline.local_run.failures import was_interrupted
from pipeline.local_run.recovery import record_files
from pipeline.records.connection import ConnectionConfig, connect, connection_config
from pipeline.records.metadata import is_cached, record_times


class RunObserver(Protocol):
    """Receives the events of a run."""

    def node_started(self, node_id: str, position: int, total: int) -> None:
        """A node begins; `position` counts from 1 to `total`."""

    def node_finished(self, node_id: str, seconds: float, cached: bool) -> None:
        """A node is done; `seconds` is its wall time."""

    def node_failed(self, node_id: str, error: Exception) -> None:
        """A node after the push failed; the run goes on."""


class LocalDagRunner(tfx_runner.IrBasedRunner):
    """TFX's LocalDagRunner with an observer, a run id that is known beforehand, and no log of the connection."""

    def __init__(self, observer: RunObserver, connection: ConnectionConfig, output: str, bucket: str = ""):
        """Takes the absolute path of the output folder; every execution gets a context of that name.

        The connection may hold a password, so it is not part of the compiled pipeline. `bucket` is the URI below which
        the pipeline keeps its artifacts, if not in the output folder; raises UserError if it cannot be read.
        """
        self._operators = BucketArtifacts(bucket, output).operators() if bucket else None
        self._output = output
        self._observer = observer
        self._connection = connection
        self.run_id = datetime.datetime.now().isoformat()

    def run_with_ir(self, pipeline: pipeline_pb2.Pipeline, run_options: pipeline_pb2.RunOptions | None = None) -> None:
        """Runs a compiled pipeline's nodes in topological order; when one raises, earlier outputs stay published.

        What fails after the push does not end the run: the model is live, and the user has to be told.
        """
        if run_options:
            raise NotImplementedError("partial runs are not supported")
        runtime_parameter_utils.substitute_runtime_parameter(
            pipeline, {constants.PIPELINE_RUN_ID_PARAMETER_NAME: self.run_id}
        )
        context = pipeline_pb2.ContextSpec(type=metadata_store_pb2.ContextType(name=OUTPUT_CONTEXT_TYPE))
        context.name.field_value.string_value = self._output
        is_pushed = False
        for position, node in enumerate(pipeline.nodes, start=1):
            node.pipeline_node.contexts.contexts.append(context)
            node_id = node.pipeline_node.node_info.id
            self._observer.node_started(node_id, position, len(pipeline.nodes))
            started = time.monotonic()
            try:
                cached = self._launch(pipeline, node.pipeline_node)
            except Exception as error:
                if not is_pushed or was_interrupted(error):
                    raise
                self._observer.node_failed(node_id, error)
            else:
                self._observer.node_finished(node_id, time.monotonic() - started, cached)
            is_pushed = is_pushed or node_id == PUSHER

    def _launch(self, pipeline: pipeline_pb2.Pipeline, node: pipeline_pb2.PipelineNode) -> bool:
        """Runs a node; returns whether TFX answered it from its cache."""
        deployment = runner_utils.extract_local_deployment_config(pipeline)
        connection = metadata.Metadata(self._connection)
        info = launcher.Launcher(
            pipeline_node=node,
            mlmd_connection=connection,
            pipeline_info=pipeline.pipeline_info,
            pipeline_runtime_spec=pipeline.runtime_spec,
            executor_spec=runner_utils.extract_executor_spec(deployment, node.node_info.id),
            custom_driver_spec=runner_utils.extract_custom_driver_spec(deployment, node.node_info.id),
            custom_executor_operators=self._operators,
        ).launch()
        if info is None:
            return False
        with connection as handle:
            cached = is_cached(handle.store, info.execution_id)
            if not cached:
                record_files(handle.store, info.execution_id, self._output)
            return cached


def run(config: PipelineConfig, observer: RunObserver, started: float | None = None) -> str:
    """Runs the pipeline and returns the run's id in ML Metadata; executors' exceptions pass through.

    `started` is when the run's process started, in seconds since 1970; by default now.
    """
    started = started or time.time()
    runner = LocalDagRunner(observer, connection_config(config.metadata_uri), config.output, config.bucket)
    try:
        runner.run(create_pipeline(config))
    finally:
        # For information only: what ended the run is more important.
        with contextlib.suppress(Exception):
            record_times(connect(config.metadata_uri), runner.run_id, started)
    return runner.run_id
