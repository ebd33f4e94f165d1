"""Beam's Flink runner, with one job server for all pipelines of a process.

Named by the `--runner` option of `beam_args`. Beam's own class starts a Java process for every pipeline, seven in a
run, and keeps all of them until the program exits.
"""

import logging
import threading

import grpc
from apache_beam.options.pipeline_options import FlinkRunnerOptions, JobServerOptions, PipelineOptions
from apache_beam.runners.portability import flink_runner, job_server

logger = logging.getLogger("apache_beam.flink")

_job_servers: dict[tuple[str, ...], job_server.JobServer] = {}


class FlinkRunner(flink_runner.FlinkRunner):
    """Beam's FlinkRunner; job servers are started once and stopped when the process exits."""

    def default_job_server(self, options: PipelineOptions) -> job_server.JobServer:
        """Returns the job server for a cluster, which starts when it is first used."""
        flink, server = options.view_as(FlinkRunnerOptions), options.view_as(JobServerOptions)
        key = (flink.flink_master, flink.flink_job_server_jar, *server.job_server_jvm_properties)
        if key not in _job_servers:
            _quiet_closed_connections()
            _job_servers[key] = super().default_job_server(options)
        return _job_servers[key]


def _quiet_closed_connections() -> None:
    """Logs errors of worker threads whose connection Flink closes: the job is done by then."""
    show = threading.excepthook

    def excepthook(args: threading.ExceptHookArgs) -> None:
        if isinstance(args.exc_value, grpc.RpcError):
            logger.info("a worker's connection was closed: %s", args.exc_value)
        else:
            show(args)

    threading.excepthook = excepthook
