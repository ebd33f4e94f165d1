"""`local_runner.py show`: all details of an artifact or execution."""

import dataclasses
from typing import TYPE_CHECKING, Any

import click

from components.common.errors import UsageError
from pipeline.cli.store_options import console, print_json, store_options, time_text

if TYPE_CHECKING:
    from pipeline.records.lineage import Lineage, Step
    from pipeline.records.metadata import ArtifactRecord
    from pipeline.records.store import RunStore


@click.command()
@click.argument("target", metavar="ARTIFACT|EXECUTION")
@store_options
def show(store: "RunStore", target: str, as_json: bool) -> None:
    """Show all details of an artifact or an execution.

    Artifacts: a12, or a path. Executions: e12, or a component such as Trainer in the latest run.
    """
    from pipeline.records.lineage import Lineage

    lineage = Lineage(store)
    step = _find_step(store, lineage, target)
    if step is not None:
        content = _execution_content(step)
    else:
        (artifact, *_) = lineage.find(target)
        content = _artifact_content(lineage, artifact)
    if as_json:
        print_json(content)
        return
    out = console()
    for name, value in content.items():
        if isinstance(value, dict):
            out.print(f"{name}:", style="bold")
            for key, entry in value.items():
                out.print(f"  {key}: {_text(entry)}", markup=False)
        else:
            out.print(f"{name}: {_text(value)}", markup=False)


def _find_step(store: "RunStore", lineage: "Lineage", target: str) -> "Step | None":
    """Returns the execution named by `target`; None if it can only be an artifact."""
    from pipeline.records.lineage import Step

    digits = target.removeprefix("e")
    if digits.isdigit() and int(digits) in lineage.steps:
        if digits == target and int(digits) in lineage.artifacts:
            raise UsageError(f"{target} is the id of an artifact and of an execution: use a{target} or e{target}")
        return lineage.steps[int(digits)]
    if digits != target and digits.isdigit():
        raise UsageError(f"no execution {target!r}: the ids are e1 to e{max(lineage.steps, default=0)}")
    if not store.pipeline_names:
        return None
    latest = store.find_run("latest")
    execution = latest.executions.get(target)
    if execution is None and any(step.execution.node_id == target for step in lineage.steps.values()):
        raise UsageError(
            f"{target} did not run in the latest run {latest.run_id}: give its execution's id, such as e12"
        )
    return Step(latest, execution) if execution else None


def _execution_content(step: "Step") -> dict[str, Any]:
    from pipeline.records.metadata import decoded

    execution = step.execution
    return {
        "id": f"e{execution.id}",
        "node": execution.node_id,
        "type": execution.type,
        "run": step.run.run_id,
        "state": execution.state,
        "started": _time(execution.started_ms),
        "updated": _time(execution.updated_ms),
        "seconds": (execution.updated_ms - execution.started_ms) / 1000,
        "parameters": {key: decoded(value) for key, value in sorted(execution.properties.items())},
        "inputs": _references(execution.inputs),
        "outputs": _references(execution.outputs),
    }


def _artifact_content(lineage: "Lineage", artifact: "ArtifactRecord") -> dict[str, Any]:
    from pipeline.records.metadata import decoded

    producer = lineage.producer(artifact)
    return dataclasses.asdict(artifact) | {
        "id": f"a{artifact.id}",
        "created": _time(artifact.created_ms),
        "path": str(artifact.path),
        "exists": artifact.path.exists(),
        "properties": {key: decoded(value) for key, value in sorted(artifact.properties.items())},
        "made by": _step_name(producer) if producer else None,
        "read by": [_step_name(step) for step in lineage.consumers(artifact)],
    }


def _references(groups: "dict[str, list[ArtifactRecord]]") -> dict[str, list[str]]:
    return {key: [f"a{a.id} {a.type} {a.uri}" for a in artifacts] for key, artifacts in groups.items()}


def _step_name(step: "Step") -> str:
    return f"e{step.execution.id} {step.execution.node_id}, run {step.run.run_id}"


def _time(milliseconds: int) -> str:
    return time_text(milliseconds).replace(" ", "T")


def _text(value: Any) -> str:
    import json

    if isinstance(value, list) and value and isinstance(value[0], str):
        return "\n    ".join(["", *value])
    return json.dumps(value) if isinstance(value, dict | list) else str(value)
