"""Lineage: the graph of a run, one box per component, with its artifacts and times."""

import dataclasses
from collections.abc import Mapping

from pipeline.records.records import ArtifactRecord, ExecutionRecord
from pipeline.records.run import Run
from pipeline.report import text
from pipeline.report.drawing.layering import Edge, Node
from pipeline.report.drawing.layout import lay_out

EARLIER_RUN = "earlier run"
_CHAR_WIDTH = 6.9  # of 11.5 pixel text, on average
_BOLD = 1.12
_PADDING = 24.0
_HEADER_HEIGHT = 42.0
_ROW_HEIGHT = 18.0
_BOTTOM = 8.0
_MAX_LINE = 24


@dataclasses.dataclass(frozen=True)
class Box:
    """A component of the graph.

    Attributes:
        name: The node's id.
        label: The same, short enough to be drawn.
        state: "done", "cached", "failed", "unfinished" or "external".
        line: State and time in words.
        outputs: The artifacts it made.
        left: In pixels.
        top: In pixels.
        width: In pixels.
        height: In pixels.
        ports: Where each output's row is, in pixels below the top.
    """

    name: str
    label: str
    state: str
    line: str
    outputs: tuple[ArtifactRecord, ...]
    left: float
    top: float
    width: float
    height: float
    ports: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class Link:
    """An artifact on its way from one component to another."""

    source: str
    target: str
    artifact: ArtifactRecord
    path: str


@dataclasses.dataclass(frozen=True)
class Graph:
    """The whole drawing, in pixels."""

    width: float
    height: float
    boxes: list[Box]
    links: list[Link]


def load(run: Run) -> Graph:
    """Lays a run's executions and artifacts out."""
    outputs = {node: _artifacts(execution.outputs) for node, execution in run.executions.items()}
    made = {artifact.id: node for node, artifacts in reversed(outputs.items()) for artifact in artifacts}
    needed = {
        artifact.id: artifact
        for execution in run.executions.values()
        for artifact in _artifacts(execution.inputs)
        if artifact.id not in made
    }
    if needed:
        outputs[EARLIER_RUN] = tuple(needed.values())
        made |= dict.fromkeys(needed, EARLIER_RUN)
    links = [
        (made[artifact.id], node, artifact)
        for node, execution in run.executions.items()
        for artifact in _artifacts(execution.inputs)
        if made[artifact.id] != node
    ]
    edges = [
        Edge(source, [a.id for a in outputs[source]].index(artifact.id), target) for source, target, artifact in links
    ]
    boxes = [_box(node, run.executions.get(node), artifacts) for node, artifacts in outputs.items()]
    placed = lay_out([Node(box.name, box.width, box.height, box.ports) for box in boxes], edges)
    return Graph(
        placed.width,
        placed.height,
        [_at(box, *placed.positions[box.name]) for box in boxes],
        [Link(*link, path) for link, path in zip(links, placed.paths, strict=True)],
    )


def _at(box: Box, left: float, top: float) -> Box:
    return dataclasses.replace(box, left=left, top=top)


def _artifacts(groups: Mapping[str, list[ArtifactRecord]]) -> tuple[ArtifactRecord, ...]:
    return tuple({artifact.id: artifact for group in groups.values() for artifact in group}.values())


def _box(node: str, execution: ExecutionRecord | None, outputs: tuple[ArtifactRecord, ...]) -> Box:
    state = text.state(execution) if execution else "external"
    took = execution.updated_ms - execution.started_ms if execution else 0
    line = {"external": "", "cached": "from cache"}.get(state, f"{state} · {text.duration(took)}")
    label = text.shortened(node, _MAX_LINE)
    longest = max(len(label) * _BOLD, len(line), *(len(f"{artifact.type} #{artifact.id}") for artifact in outputs), 0)
    ports = tuple(_HEADER_HEIGHT + _ROW_HEIGHT * (index + 0.5) for index in range(len(outputs)))
    height = _HEADER_HEIGHT + _ROW_HEIGHT * len(outputs) + (_BOTTOM if outputs else 0)
    return Box(node, label, state, line, outputs, 0, 0, longest * _CHAR_WIDTH + _PADDING, height, ports)
