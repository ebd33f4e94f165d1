"""The two steps of a layered layout that stand alone: layers by longest path, and order-keeping least squares."""

import dataclasses
from collections import defaultdict
from collections.abc import Sequence


@dataclasses.dataclass(frozen=True)
class Node:
    """A box to place; edges leave it at `ports`, heights in pixels below its top."""

    name: str
    width: float
    height: float
    ports: Sequence[float]


@dataclasses.dataclass(frozen=True)
class Edge:
    """From a port of a node to another node."""

    source: str
    port: int
    target: str


def layer_ranks(nodes: Sequence[Node], edges: Sequence[Edge]) -> dict[str, int]:
    """Returns every node's layer: after all it needs; sources just before their use; loners in the widest layer.

    Args:
        nodes: At least one.
        edges: Between them, without cycles.
    """
    before, after = defaultdict(list), defaultdict(list)
    for edge in edges:
        before[edge.target].append(edge.source)
        after[edge.source].append(edge.target)
    rank: dict[str, int] = {}

    def longest(name: str) -> int:
        if name not in rank:
            rank[name] = max((longest(source) + 1 for source in before[name]), default=0)
        return rank[name]

    linked = [node for node in nodes if before[node.name] or after[node.name]]
    for node in linked:
        longest(node.name)
    for node in linked:
        if not before[node.name]:
            rank[node.name] = min(rank[target] for target in after[node.name]) - 1
    widest = max(linked, key=lambda node: node.width, default=None)
    for node in nodes:
        rank.setdefault(node.name, rank[widest.name] if widest else 0)
    first = min(rank.values())
    return {name: layer - first for name, layer in rank.items()}


def isotonic(values: Sequence[float]) -> list[float]:
    """Returns the ascending values closest to the given ones (pool adjacent violators)."""
    blocks: list[tuple[float, int]] = []
    for value in values:
        blocks.append((value, 1))
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (mean, size), (last_mean, last_size) = blocks[-2], blocks[-1]
            blocks[-2:] = [((mean * size + last_mean * last_size) / (size + last_size), size + last_size)]
    return [mean for mean, size in blocks for _ in range(size)]
