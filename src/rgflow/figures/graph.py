"""A graph of what is made from what, sources left, each node right of all that it reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from graphlib import TopologicalSorter

from matplotlib.figure import Figure

from rgflow.figures.style import new_figure, styled

_COLUMN, _ROW = 2.1, 0.5  # inches of a node with the room around it

Reads = Mapping[str, Sequence[str]]


@styled
def draw(reads: Reads, notes: Mapping[str, str]) -> Figure:
    """Draw every node with its note below the name; of what a node reads through another one no arrow is drawn.

    Parameters
    ----------
    reads : mapping
        Node to the nodes it reads.
    notes : mapping
        Node to a few words.
    """
    reads = {node: reads[node] for node in TopologicalSorter(reads).static_order()}
    places = _places(reads)
    columns, rows = (1 + max(place[axis] for place in places.values()) for axis in (0, 1))
    figure = new_figure(height=_ROW * rows, width=_COLUMN * columns)
    axes = figure.subplots()
    axes.set(xlim=(-0.5, columns - 0.5), ylim=(rows - 0.5, -0.5))
    axes.set_axis_off()
    box = {"boxstyle": "round,pad=0.35", "facecolor": "white", "edgecolor": "0.4", "linewidth": 0.6}
    texts = {
        node: axes.text(x, y, f"{node}\n{notes[node]}", ha="center", va="center", fontsize=6, bbox=box, zorder=2)
        for node, (x, y) in places.items()
    }
    arrow = {"arrowstyle": "-|>", "color": "0.6", "linewidth": 0.6, "connectionstyle": "arc3,rad=0.05"}
    for node, sources in _direct(reads).items():
        for source in sources:
            ends = {"patchA": texts[source].get_bbox_patch(), "patchB": texts[node].get_bbox_patch()}
            axes.annotate("", places[node], places[source], arrowprops={**arrow, **ends}, zorder=1)
    return figure


def _places(reads: Reads) -> dict[str, tuple[int, float]]:
    """Column (the longest way from a source) and row of every node; in a column, nodes are ordered as what they read."""
    columns: dict[str, int] = {}
    for node, sources in reads.items():
        columns[node] = 1 + max((columns[source] for source in sources), default=-1)
    members = [[node for node in reads if columns[node] == column] for column in range(1 + max(columns.values()))]
    tallest = max(map(len, members))
    places: dict[str, tuple[int, float]] = {}
    for column, nodes in enumerate(members):
        heights = {node: _mean([places[source][1] for source in reads[node]]) for node in nodes}
        top = (tallest - len(nodes)) / 2
        for row, node in enumerate(sorted(nodes, key=heights.__getitem__)):
            places[node] = (column, top + row)
    return places


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def _direct(reads: Reads) -> dict[str, list[str]]:
    """What every node reads, less what it also reads through another one."""
    before: dict[str, set[str]] = {}
    for node, sources in reads.items():
        before[node] = set(sources).union(*(before[source] for source in sources))
    return {
        node: [source for source in sources if not any(source in before[other] for other in sources)]
        for node, sources in reads.items()
    }
