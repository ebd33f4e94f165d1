"""The command of every container on Kubeflow: runs TFX's container entrypoint and writes the execution record."""

import argparse
import json
import logging
import sys
import time
from pathlib import Path
from typing import Any

from components.common.errors import UserError
from pipeline.kubeflow import executor_input as kfp_io
from pipeline.kubeflow.execution_record import RECORD_KEY, ContainerArtifact, ContainerExecution
from pipeline.kubeflow.runtime_parameters import apply_overrides

logger = logging.getLogger(__name__)

Message = dict[str, Any]


def main(argv: list[str]) -> int:
    """Runs one component, and returns 0, or 1 after an error of one line; unknown arguments are passed on to Beam."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True)
    args, beam_args = _parser().parse_known_args(argv)
    invocation: Message = json.loads(args.json_serialized_invocation_args)
    inputs_spec: Message = json.loads(args.json_serialized_inputs_spec_args or "{}")
    outputs_spec: Message = json.loads(args.json_serialized_outputs_spec_args)
    record_artifact = invocation["outputs"].get("artifacts", {}).pop(RECORD_KEY)["artifacts"][0]
    uris = kfp_io.localize(invocation, inputs_spec, outputs_spec)
    parameters = apply_overrides(args.node_id, invocation.get("inputs", {}).get("parameterValues", {}))
    invocation.setdefault("inputs", {})["parameterValues"] = parameters
    started = time.time()
    try:
        _run_tfx(args, invocation, beam_args)
    except UserError as error:
        logger.error("error: %s", error)
        return 1
    output_file = Path(invocation["outputs"]["outputFile"])
    executor_output: Message = json.loads(output_file.read_text())
    kfp_io.restore_remote_uris(executor_output, uris)
    output_file.write_text(json.dumps(executor_output))
    ContainerExecution(
        pipeline_name=args.pipeline_name,
        node_id=args.node_id,
        executor=args.executor_class_path,
        record_uri=record_artifact["uri"],
        started_ms=int(1000 * started),
        finished_ms=int(1000 * time.time()),
        exec_properties=parameters,
        inputs=_entries(invocation["inputs"], uris),
        outputs=_entries(invocation["outputs"], uris, executor_output),
    ).write(Path(kfp_io.local_path(record_artifact)))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    # Of TFX's entrypoint.
    parser.add_argument("--executor_class_path", required=True)
    parser.add_argument("--json_serialized_invocation_args", required=True)
    parser.add_argument("--json_serialized_inputs_spec_args")
    # Of this one.
    parser.add_argument("--json_serialized_outputs_spec_args", required=True)
    parser.add_argument("--node_id", required=True)
    parser.add_argument("--pipeline_name", required=True)
    return parser


def _run_tfx(args: argparse.Namespace, invocation: Message, beam_args: list[str]) -> None:
    from tfx.orchestration.kubeflow.v2.container import kubeflow_v2_run_executor

    from components.storage.tfx_filesystem import register_buckets

    register_buckets()
    register_artifact_types()
    tfx_args = argparse.Namespace(
        executor_class_path=args.executor_class_path,
        json_serialized_invocation_args=json.dumps(invocation),
        json_serialized_inputs_spec_args=args.json_serialized_inputs_spec_args,
    )
    kubeflow_v2_run_executor.main((tfx_args, beam_args))


def register_artifact_types() -> None:
    """Teaches TFX the classes of this project's artifact types: it imports others by their name, a dotted path."""
    from tfx.orchestration.kubeflow.v2 import compiler_utils
    from tfx.utils import name_utils

    from components.contracts.artifact_types import own_artifact_types

    for own in own_artifact_types():
        compiler_utils.TITLE_TO_CLASS_PATH[own.TYPE_NAME] = name_utils.get_full_name(own)


def _entries(
    message: Message, uris: kfp_io.LocalUris, executor_output: Message | None = None
) -> dict[str, list[ContainerArtifact]]:
    entries = {}
    for key, artifact_list in message.get("artifacts", {}).items():
        produced = (executor_output or {}).get("artifacts", {}).get(key, artifact_list)["artifacts"]
        entries[key] = [
            ContainerArtifact(kfp_io.type_name(artifact), uris.to_remote(artifact["uri"]), result.get("metadata", {}))
            for artifact, result in zip(artifact_list["artifacts"], produced, strict=True)
        ]
    return entries


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
