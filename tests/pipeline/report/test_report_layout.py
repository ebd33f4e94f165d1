"""The layered layout of the lineage graph."""

import itertools
import random
import re

import pytest
from made_run import MadeRun

from pipeline.records.store import open_store
from pipeline.report.drawing.layering import Edge, Node
from pipeline.report.drawing.layout import Layout, lay_out
from pipeline.report.sections import lineage
from pipeline.report.sections.lineage import EARLIER_RUN


def _graph(seed: int) -> tuple[list[Node], list[Edge]]:
    chance = random.Random(seed)
    nodes = [
        Node(str(index), chance.randint(60, 180), chance.randint(30, 90), (20.0, 28.0))
        for index in range(chance.randint(1, 14))
    ]
    pairs = [(a, b) for a, b in itertools.combinations(nodes, 2) if chance.random() < 0.25]
    return nodes, [Edge(a.name, chance.randrange(2), b.name) for a, b in pairs]


def _overlap(layout: Layout, one: Node, other: Node) -> bool:
    (x1, y1), (x2, y2) = layout.positions[one.name], layout.positions[other.name]
    return x1 < x2 + other.width and x2 < x1 + one.width and y1 < y2 + other.height and y2 < y1 + one.height


@pytest.mark.parametrize("seed", range(40))
def test_boxes_are_apart_inside_and_edges_point_right(seed: int) -> None:
    nodes, edges = _graph(seed)
    layout = lay_out(nodes, edges)
    assert not [pair for pair in itertools.combinations(nodes, 2) if _overlap(layout, *pair)]
    for node in nodes:
        left, top = layout.positions[node.name]
        assert left >= 0 and top >= 0
        assert left + node.width <= layout.width and top + node.height <= layout.height
    widths = {node.name: node.width for node in nodes}
    for edge, path in zip(edges, layout.paths, strict=True):
        start, end = layout.positions[edge.source], layout.positions[edge.target]
        assert start[0] + widths[edge.source] < end[0]
        numbers = [float(number) for number in re.findall(r"-?\d+\.\d", path)]
        assert numbers[0] == pytest.approx(start[0] + widths[edge.source], abs=0.1)
        assert numbers[-2] == pytest.approx(end[0], abs=0.1)


def test_edge_over_a_layer_passes_between_its_boxes() -> None:
    nodes = [Node(name, 100, 60, (30.0,)) for name in "abc"]
    layout = lay_out(nodes, [Edge("a", 0, "b"), Edge("b", 0, "c"), Edge("a", 0, "c")])
    left, top = layout.positions["b"]
    # Along the middle layer the edge runs level, from the layer's left to its right.
    level = re.search(rf"{left:.1f} (\d+\.\d)H{left + 100:.1f}", layout.paths[2])
    assert level is not None
    assert not top <= float(level[1]) <= top + 60


def test_lineage_joins_components_by_their_artifacts(blessed_run: MadeRun) -> None:
    run = open_store(str(blessed_run.output)).run(blessed_run.run_id)
    links = {(link.source, link.target, link.artifact.type) for link in lineage.load(run).links}
    assert ("ImageValidator", "Trainer", "Examples") in links
    assert ("Evaluator.test", "Pusher", "ModelBlessing") in links
    assert len(links) == 13

    # What an earlier run made, such as the blessed model to compare with, gets a box of its own.
    rest = {node: execution for node, execution in run.executions.items() if node != "TfdsExampleGen"}
    run.executions = rest
    graph = lineage.load(run)
    assert (EARLIER_RUN, "ImageValidator") in {(link.source, link.target) for link in graph.links}
    assert [box.state for box in graph.boxes if box.name == EARLIER_RUN] == ["external"]
