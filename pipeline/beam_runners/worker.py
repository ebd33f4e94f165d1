"""A Beam worker process, started by a Flink task manager through `worker.sh`.

Does what the boot program of Beam's container images does: asks the runner where its services are and what the
pipeline options say, then runs Beam's SDK harness.
"""

import argparse
import os
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> None:
    """Runs a worker until the runner closes its connection."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--id", required=True)
    parser.add_argument("--provision_endpoint", required=True)
    arguments, _ = parser.parse_known_args(argv)
    # Beam reads it when it is imported, and names every connection after it.
    os.environ["WORKER_ID"] = arguments.id
    os.environ.update(_provision(arguments.provision_endpoint, arguments.id))
    from apache_beam.runners.worker import sdk_worker_main

    sdk_worker_main.main([])


def _provision(endpoint: str, worker_id: str) -> dict[str, str]:
    """Returns the environment variables that Beam's harness is configured by."""
    import grpc
    from apache_beam.portability.api import beam_provision_api_pb2 as pb
    from apache_beam.portability.api import beam_provision_api_pb2_grpc
    from google.protobuf import json_format, text_format

    with grpc.insecure_channel(endpoint) as channel:
        stub = beam_provision_api_pb2_grpc.ProvisionServiceStub(channel)
        metadata = (("worker_id", worker_id),)
        info = stub.GetProvisionInfo(pb.GetProvisionInfoRequest(), metadata=metadata, wait_for_ready=True).info
    return {
        "CONTROL_API_SERVICE_DESCRIPTOR": text_format.MessageToString(info.control_endpoint),
        "LOGGING_API_SERVICE_DESCRIPTOR": text_format.MessageToString(info.logging_endpoint),
        "PIPELINE_OPTIONS": json_format.MessageToJson(info.pipeline_options),
        "RUNNER_CAPABILITIES": " ".join(info.runner_capabilities),
    }


if __name__ == "__main__":
    main()
