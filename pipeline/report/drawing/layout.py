"""Lays a small directed acyclic graph out in layers from left to right.

After Sugiyama, Tagawa and Toda, "Methods for visual understanding of hierarchical system structures" (1981): layers by
longest path, order by barycenters, positions by least squares.
"""

import dataclasses
import itertools
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from pipeline.report.drawing.layering import Edge, Node, isotonic, layer_ranks

_LAYER_GAP = 40.0
_NODE_GAP = 22.0
_TRACK_HEIGHT = 6.0
_SWEEPS = 12
_MARGIN = 8.0

# A point of an edge's way: a node's name, or (edge's start, layer) where it crosses a layer.
_Key = str | tuple[str, int, int]


@dataclasses.dataclass(frozen=True)
class Layout:
    """Where everything is, in pixels.

    Attributes:
        width: Of the whole drawing.
        height: Of the whole drawing.
        positions: Left and top of every node.
        paths: One SVG path per edge, in the order given.
    """

    width: float
    height: float
    positions: Mapping[str, tuple[float, float]]
    paths: Sequence[str]


def lay_out(nodes: Sequence[Node], edges: Sequence[Edge]) -> Layout:
    """Places nodes and routes edges.

    Args:
        nodes: At least one.
        edges: Between them, without cycles.

    Returns:
        The layout; edges pass nodes without touching them.
    """
    return _Layering(nodes, edges).layout()


class _Layering:
    """The state of one layout: layers of nodes and of tracks, on which edges cross layers."""

    def __init__(self, nodes: Sequence[Node], edges: Sequence[Edge]):
        self._nodes = {node.name: node for node in nodes}
        self._edges = edges
        self._rank = layer_ranks(nodes, edges)
        self._layers: list[list[_Key]] = [[] for _ in range(max(self._rank.values()) + 1)]
        self._before: dict[_Key, list[_Key]] = defaultdict(list)
        self._after: dict[_Key, list[_Key]] = defaultdict(list)
        for node in nodes:
            self._layers[self._rank[node.name]].append(node.name)
        for edge in edges:
            way = self._way(edge)
            for one, other in itertools.pairwise(way):
                if isinstance(other, tuple) and other not in self._layers[other[2]]:
                    self._layers[other[2]].append(other)
                if one not in self._before[other]:
                    self._before[other].append(one)
                    self._after[one].append(other)

    def _way(self, edge: Edge) -> list[_Key]:
        """Edges of one port share their tracks, like a trunk with branches."""
        first, last = self._rank[edge.source], self._rank[edge.target]
        return [edge.source, *((edge.source, edge.port, rank) for rank in range(first + 1, last)), edge.target]

    def layout(self) -> Layout:
        centers = self._centers()
        lefts, width = self._lefts()
        top = min(centers[key] - self._height(key) / 2 for key in centers) - _MARGIN
        bottom = max(centers[key] + self._height(key) / 2 for key in centers) + _MARGIN
        middle = {key: center - top for key, center in centers.items()}
        positions = {
            name: (lefts[self._rank[name]], middle[name] - node.height / 2) for name, node in self._nodes.items()
        }
        return Layout(
            width, bottom - top, positions, [self._path(edge, positions, middle, lefts) for edge in self._edges]
        )

    def _height(self, key: _Key) -> float:
        return self._nodes[key].height if isinstance(key, str) else _TRACK_HEIGHT

    def _layer_width(self, rank: int) -> float:
        return max(self._nodes[key].width for key in self._layers[rank] if isinstance(key, str))

    def _lefts(self) -> tuple[list[float], float]:
        lefts, x = [], _MARGIN
        for rank in range(len(self._layers)):
            lefts.append(x)
            x += self._layer_width(rank) + _LAYER_GAP
        return lefts, x - _LAYER_GAP + _MARGIN

    def _centers(self) -> dict[_Key, float]:
        """Alternates between pulling nodes towards their neighbours and sorting each layer by that."""
        centers: dict[_Key, float] = {}
        for layer in self._layers:
            centers |= self._place(layer, dict.fromkeys(layer, 0.0))
        for sweep in range(_SWEEPS):
            forward = sweep % 2 == 0
            near = self._before if forward else self._after
            for layer in self._layers if forward else reversed(self._layers):
                # The last sweeps look both ways, so that nodes settle between their neighbours.
                both = sweep >= _SWEEPS // 2
                wishes = {
                    key: _mean([centers[n] for n in (self._before[key] + self._after[key] if both else near[key])])
                    for key in layer
                }
                wanted = {key: centers[key] if wish is None else wish for key, wish in wishes.items()}
                layer.sort(key=lambda key: wanted[key])
                centers |= self._place(layer, wanted)
        return centers

    def _place(self, layer: Sequence[_Key], wanted: Mapping[_Key, float]) -> dict[_Key, float]:
        """Keeps the order and the gaps of a layer, as close to the wanted centres as least squares allows."""
        offsets, offset = [], 0.0
        for one, other in zip(layer, [*layer[1:], None], strict=True):
            offsets.append(offset)
            if other is not None:
                offset += (self._height(one) + self._height(other)) / 2 + _NODE_GAP
        free = isotonic([wanted[key] - shift for key, shift in zip(layer, offsets, strict=True)])
        return {key: value + shift for key, value, shift in zip(layer, free, offsets, strict=True)}

    def _path(
        self,
        edge: Edge,
        positions: Mapping[str, tuple[float, float]],
        middle: Mapping[_Key, float],
        lefts: Sequence[float],
    ) -> str:
        source, target = self._nodes[edge.source], self._nodes[edge.target]
        x, y = positions[edge.source][0] + source.width, positions[edge.source][1] + source.ports[edge.port]
        # A node may be narrower than its layer: edges leave the layer before they bend.
        first = self._rank[edge.source]
        start = lefts[first] + self._layer_width(first)
        parts = [f"M{x:.1f} {y:.1f}H{start:.1f}"]
        x = start
        for key in self._way(edge)[1:-1]:
            rank = key[2] if isinstance(key, tuple) else 0
            parts += [_bend(x, y, lefts[rank], middle[key]), f"H{lefts[rank] + self._layer_width(rank):.1f}"]
            x, y = lefts[rank] + self._layer_width(rank), middle[key]
        rows = sorted(self._before[edge.target], key=lambda key: middle[key])
        row = rows.index(self._way(edge)[-2])
        left, top = positions[edge.target]
        parts.append(_bend(x, y, left, top + target.height * (row + 1) / (len(rows) + 1)))
        return "".join(parts)


def _mean(values: Iterable[float]) -> float | None:
    values = list(values)
    return sum(values) / len(values) if values else None


def _bend(x1: float, y1: float, x2: float, y2: float) -> str:
    half = (x2 - x1) / 2
    return f"C{x1 + half:.1f} {y1:.1f} {x2 - half:.1f} {y2:.1f} {x2:.1f} {y2:.1f}"
