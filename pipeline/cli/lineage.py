"""`local_runner.py lineage`: the sources of an artifact, or everything made from it."""

from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import click
from rich.markup import escape
from rich.tree import Tree

from components.contracts import TEST_SPLIT, VALIDATION_SPLIT
from pipeline.cli.store_options import console, percent, print_json, store_options, table

if TYPE_CHECKING:
    from pipeline.records.lineage import Lineage, Step
    from pipeline.records.metadata import ArtifactRecord
    from pipeline.records.store import RunStore

# TFX's own settings, equal in every run; `--json` and `show` print them.
_BOILERPLATE = ("eval_config.", "input_config.", "output_config", "output_data_format", "output_file_format")
_DIGEST_LENGTH = 16


@click.command()
@click.argument("target", metavar="MODEL_OR_PATH", default="latest")
@click.option("--forward/--backward", default=None, help="Direction.  [default: forward from a dataset, else backward]")
@store_options
def lineage(store: "RunStore", target: str, forward: bool | None, as_json: bool) -> None:
    """Trace a model back to its dataset, code and parameters, or a dataset forward to its models.

    MODEL_OR_PATH is the folder of a pushed model, the folder or id (a12) of an artifact, the name of a dataset, or a
    run (an id, an unambiguous part of one, latest, latest~1) for its model.
    """
    from pipeline.records.lineage import Lineage

    graph = Lineage(store)
    targets = graph.find(target)
    if forward is None:
        forward = all(graph.is_source(artifact) for artifact in targets)
    if as_json:
        print_json(_graph_content(graph, targets, forward))
        return
    out = console()
    out.print(f"{'Built on' if forward else 'How it was made'}: {target}", style="bold", markup=False)
    printer = _TreePrinter(graph, forward)
    for artifact in targets:
        out.print(printer.tree(artifact))
    if forward:
        _print_models(out, graph, targets)


def _graph_content(graph: "Lineage", targets: "list[ArtifactRecord]", forward: bool) -> dict[str, Any]:
    from pipeline.records.metadata import decoded

    artifacts, steps = graph.closure(targets, forward)
    reached = {artifact.id for artifact in artifacts}
    edges = []
    for step in steps:
        for written in (False, True):
            for key, artifact in step.artifacts(forward=written):
                if artifact.id in reached:
                    ends = (f"a{artifact.id}", f"e{step.execution.id}")
                    source, destination = reversed(ends) if written else ends
                    edges.append({"from": source, "to": destination, "key": key})
    return {
        "targets": [f"a{artifact.id}" for artifact in targets],
        "direction": "forward" if forward else "backward",
        "artifacts": [
            {"id": f"a{artifact.id}", "type": artifact.type, "path": str(artifact.path)}
            | {"properties": {key: decoded(value) for key, value in artifact.properties.items()}}
            for artifact in artifacts
        ],
        "executions": [
            {"id": f"e{step.execution.id}", "node": step.execution.node_id, "run": step.run.run_id}
            | {"state": step.execution.state, "parameters": _parameters(step)}
            for step in steps
        ],
        "edges": edges,
    }


class _TreePrinter:
    """Prints the graph as a tree, with every execution once."""

    def __init__(self, graph: "Lineage", forward: bool):
        self._graph = graph
        self._forward = forward
        self._drawn: set[int] = set()

    def tree(self, artifact: "ArtifactRecord") -> "Tree":

        root = Tree(_artifact_label(artifact))
        self._grow(root, artifact)
        return root

    def _grow(self, branch: "Tree", artifact: "ArtifactRecord") -> None:

        from components.contracts.nodes import BASELINE_INPUT

        self._drawn.add(artifact.id)
        for step in self._steps(artifact):
            node = branch.add(_step_label(step))
            if not self._forward:
                for name, value in _parameters(step).items():
                    if not name.startswith(_BOILERPLATE):
                        node.add(f"[dim]{escape(name)} = {escape(str(value))}[/]")
            for key, found in sorted(step.artifacts(self._forward), key=lambda pair: pair[1].id):
                if found.id in self._drawn:
                    node.add(f"{escape(key)}: [cyan]a{found.id}[/] [dim](above)[/]")
                elif key == BASELINE_INPUT:
                    # The baseline is compared with, not built on.
                    node.add(f"{escape(key)}: {_artifact_label(found)} [dim](see lineage a{found.id})[/]")
                else:
                    self._grow(node.add(f"{escape(key)}: {_artifact_label(found)}"), found)

    def _steps(self, artifact: "ArtifactRecord") -> "list[Step]":
        steps = self._graph.neighbours(artifact, self._forward)
        if not self._forward:
            return steps
        # An execution with several inputs appears below the latest of them.
        return [step for step in steps if artifact.id == max(found.id for _, found in step.artifacts(forward=False))]


def _artifact_label(artifact: "ArtifactRecord") -> str:

    from pipeline.records.lineage import LABEL_PROPERTIES

    facts = [
        f"{name} {_shortened(name, artifact.properties[name])}"
        for name in LABEL_PROPERTIES
        if name in artifact.properties
    ]
    return f"[cyan]a{artifact.id} {artifact.type}[/] {escape(', '.join(facts))}".rstrip()


def _shortened(name: str, value: Any) -> str:
    return str(value)[:_DIGEST_LENGTH] if name.endswith("digest") else str(value)


def _step_label(step: "Step") -> str:
    seconds = (step.execution.updated_ms - step.execution.started_ms) / 1000
    node = f"[green]e{step.execution.id} {step.execution.node_id}[/]"
    return f"{node} [dim]{seconds:.1f} s, {step.execution.state.lower()}, run {step.run.run_id}[/]"


def _parameters(step: "Step") -> dict[str, Any]:
    return {name: value for name, value in step.execution.parameters.items() if value not in (None, "", [], {})}


def _print_models(out: Any, graph: "Lineage", targets: "list[ArtifactRecord]") -> None:
    rows = table("model", "run", "validation", "test", "blessed", "pushed as", title="Models built on it")
    for model, run in graph.models_built_on(targets):
        blessed = {None: "-", True: "yes", False: "no"}[run.blessed]
        pushed = PurePath(run.pushed_path).name if run.pushed_path else "-"
        accuracies = percent(run.accuracy(VALIDATION_SPLIT)), percent(run.accuracy(TEST_SPLIT))
        rows.add_row(f"a{model.id}", run.run_id, *accuracies, blessed, pushed)
    out.print(rows)
