"""Runs the pipeline on this machine, component after component, and tells an observer how it goes."""

import datetime
import functools
import itertools
import threading
import time
from typing import Protocol

from tfx.orchestration import metadata
from tfx.orchestration import pipeline as tfx_pipeline
from tfx.orchestration.local import runner_utils
from tfx.orchestration.portable import runtime_parameter_utils, tfx_runner
from tfx.proto.orchestration import local_deployment_config_pb2, pipeline_pb2

from pipeline.config import PipelineConfig
from pipeline.graph import create_pipeline
from pipeline.history.connection import ConnectionConfig, connect, connection_config
from pipeline.history.records import MetadataQueries
from pipeline.history.summary import RunSummary, summarize_run
from pipeline.local_run.executor_process import ExecutorProcess
from pipeline.local_run.side_by_side import BackgroundNode, SharingLauncher

_RUN_ID_PARAMETER = "pipeline-run-id"


class RunObserver(Protocol):
    """What a run reports to, such as a terminal."""

    def node_started(self, node_id: str, position: int, total: int) -> None:
        """A node begins; `position` counts from 1 to `total`."""

    def node_finished(self, node_id: str, seconds: float, cached: bool) -> None:
        """A node is done, after so many seconds of wall time."""


class LocalDagRunner(tfx_runner.IrBasedRunner):
    """TFX's LocalDagRunner with an observer, and with independent components side by side.

    TFX's own runner reports through log lines only, gives no place between two components, and has one run at a time.
    """

    def __init__(self, observer: RunObserver, connection: ConnectionConfig, process: ExecutorProcess | None = None):
        """Constructs a runner.

        Args:
            observer: Told of every node's start and end.
            connection: Of ML Metadata. It may hold a password, so it is no part of the compiled pipeline.
            process: Runs components beside this process; None runs one at a time.
        """
        self._observer = observer
        self._connection = connection
        self._process = process
        self._lock = threading.Lock()
        self.run_id = datetime.datetime.now().isoformat()

    def run_with_ir(self, pipeline: pipeline_pb2.Pipeline, run_options: pipeline_pb2.RunOptions | None = None) -> None:
        """Runs a compiled pipeline's nodes in topological order.

        A node that the next one does not depend on runs in the other process, if that one is idle.

        Args:
            pipeline: The compiled pipeline.
            run_options: Not supported.

        Raises:
            Exception: Whatever a component's executor raised; what other nodes produced stays published.
        """
        if run_options:
            raise NotImplementedError("partial runs are not supported")
        runtime_parameter_utils.substitute_runtime_parameter(pipeline, {_RUN_ID_PARAMETER: self.run_id})
        deployment = runner_utils.extract_local_deployment_config(pipeline)
        nodes = [node.pipeline_node for node in pipeline.nodes]
        with BackgroundNode(self._process) as background:
            for position, (node, following) in enumerate(itertools.zip_longest(nodes, nodes[1:]), start=1):
                background.wait_for(node.upstream_nodes)
                node_id = node.node_info.id
                if following and node_id not in following.upstream_nodes and background.is_free():
                    launch = functools.partial(self._launch, pipeline, deployment, node, position, in_process=True)
                    background.start(node_id, launch)
                else:
                    self._launch(pipeline, deployment, node, position, in_process=False)

    def _launch(
        self,
        pipeline: pipeline_pb2.Pipeline,
        deployment: local_deployment_config_pb2.LocalDeploymentConfig,
        node: pipeline_pb2.PipelineNode,
        position: int,
        in_process: bool,
    ) -> None:
        node_id = node.node_info.id
        self._observer.node_started(node_id, position, len(pipeline.nodes))
        started = time.monotonic()
        connection = metadata.Metadata(self._connection)
        info = SharingLauncher(
            self._lock,
            self._process,
            in_process,
            pipeline_node=node,
            mlmd_connection=connection,
            pipeline_info=pipeline.pipeline_info,
            pipeline_runtime_spec=pipeline.runtime_spec,
            executor_spec=runner_utils.extract_executor_spec(deployment, node_id),
            custom_driver_spec=runner_utils.extract_custom_driver_spec(deployment, node_id),
        ).launch()
        with self._lock, connection as handle:
            cached = info is not None and MetadataQueries(handle.store).is_cached(info.execution_id)
        self._observer.node_finished(node_id, time.monotonic() - started, cached)


def run(config: PipelineConfig, observer: RunObserver, process: ExecutorProcess | None = None) -> str:
    """Runs the pipeline to its end.

    Args:
        config: The whole configuration; its output is a local folder.
        observer: Told of every node's start and end, the end in the thread that ran it.
        process: Runs components beside this process; None runs one at a time.

    Returns:
        The run's id in ML Metadata.

    Raises:
        Exception: Whatever a component's executor raised.
    """
    pipeline: tfx_pipeline.Pipeline = create_pipeline(config)
    runner = LocalDagRunner(observer, connection_config(config.metadata_uri), process)
    runner.run(pipeline)
    return runner.run_id


def summarize(config: PipelineConfig, run_id: str) -> RunSummary:
    """Reads what a finished run led to."""
    return summarize_run(MetadataQueries(connect(connection_config(config.metadata_uri))), run_id)
