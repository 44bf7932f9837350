"""The graph of rules, drawn from top to bottom.

1. A node stands below all nodes that it needs; a row has at most `MOST` of them.
2. An edge that passes rows takes a slot in each of them, so that no line runs under a box.
3. Rows are put in order by the mean place of neighbours, down and up again; the order with the fewest crossings stays.
4. Nodes move as near to their neighbours as the order and the widths allow (least squares, isotonic regression).
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from itertools import pairwise

import networkx as nx
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Patch, PathPatch
from matplotlib.path import Path
from scipy.optimize import isotonic_regression

from steering_study.drawing import theme

MOST = 4  # nodes in a row
SWEEPS = 24
BOX, LINE, GAP = 1.0, 0.12, 0.1  # columns: width of a node and of a passing edge, least distance between two
HEIGHT, STEP, WIDEST = 0.34, 0.58, 1.45  # inches: height of a box, from row to row, most that a column takes
LETTER = 0.58  # width of a letter, of its size
WIDTH = 9.0  # inches: broader than other figures, as the names of rules are long

Node = int
Place = tuple[float, float]
Row = list[Hashable]  # of nodes, and of passing edges as (source, target, row)


def plot_rule_graph(stages: pd.DataFrame, links: pd.DataFrame) -> Figure:
    """A box a rule, with its jobs, in the colour and with the number of its part; lines lead down to what needs its files.

    Args:
        stages: columns stage, rule, part, detail, jobs.
        links: columns source, target, of stages.
    """
    edges = list(zip(links["source"], links["target"], strict=True))
    places, ways = place_nodes(list(stages["stage"]), edges)
    columns = [column for points in [places.values(), *ways.values()] for column, _ in points]
    left, right = min(columns) - BOX / 2, max(columns) + BOX / 2
    unit = min(WIDEST, (WIDTH - 0.1) / (right - left))
    n_rows = 1 + max(row for _, row in places.values())
    figure = Figure(figsize=(WIDTH, STEP * n_rows + 0.7))
    ax = figure.add_axes((0, 0.6 / figure.get_figheight(), 1, 1 - 0.6 / figure.get_figheight()))
    middle = unit * (left + right) / 2
    ax.set(
        xlim=(middle - WIDTH / 2, middle + WIDTH / 2),
        ylim=(STEP * (n_rows - 0.5) + 0.05, -STEP / 2 - 0.05),
    )
    ax.axis("off")
    for way in ways.values():
        _draw_way(ax, [(unit * column, STEP * row) for column, row in way])
    for stage in stages.to_dict("records"):
        column, row = places[stage["stage"]]
        _draw_box(ax, stage, (unit * column, STEP * row), width=unit * BOX)
    parts = theme.in_order(stages["part"], theme.PART_COLOURS)
    key = [
        Patch(
            facecolor=theme.part_colour(part),
            edgecolor=theme.INK,
            linewidth=0.6,
            label=theme.part_label(part),
        )
        for part in parts
    ]
    figure.legend(handles=key, loc="lower center", ncols=min(len(key), 5))
    return figure


def place_nodes(
    nodes: Sequence[Node], edges: Sequence[tuple[Node, Node]]
) -> tuple[dict[Node, tuple[float, int]], dict[tuple[Node, Node], list[tuple[float, int]]]]:
    """Column and row of each node, in widths of a box and rows, and the points that each edge passes.

    Raises:
        ValueError: if the edges make a circle.
    """
    graph = nx.DiGraph()
    graph.add_nodes_from(nodes)
    graph.add_edges_from(edges)
    if not nx.is_directed_acyclic_graph(graph):
        raise ValueError(f"the rules make a circle: {nx.find_cycle(graph)}; split them into stages")
    rows_of = choose_rows(graph)
    chains = {
        (source, target): [
            source,
            *((source, target, row) for row in range(rows_of[source] + 1, rows_of[target])),
            target,
        ]
        for source, target in graph.edges
    }
    steps = nx.DiGraph()
    steps.add_nodes_from(nodes)
    for chain in chains.values():
        nx.add_path(steps, chain)
    row_of: dict[Hashable, int] = {**rows_of}
    row_of |= {slot: slot[2] for chain in chains.values() for slot in chain[1:-1]}
    rows: list[Row] = [[] for _ in range(1 + max(row_of.values(), default=0))]
    for item in steps:
        rows[row_of[item]].append(item)
    columns = choose_columns(order_rows(rows, steps), steps)
    ways = {edge: [(columns[item], row_of[item]) for item in chain] for edge, chain in chains.items()}
    return {node: (columns[node], rows_of[node]) for node in nodes}, ways


def choose_rows(graph: nx.DiGraph) -> dict[Node, int]:
    """The first row below all that a node needs which is not full."""
    rows: dict[Node, int] = {}
    taken: dict[int, int] = {}
    for node in nx.topological_sort(graph):
        row = 1 + max((rows[other] for other in graph.predecessors(node)), default=-1)
        while taken.get(row, 0) >= MOST:
            row += 1
        rows[node] = row
        taken[row] = taken.get(row, 0) + 1
    return rows


def order_rows(rows: list[Row], steps: nx.DiGraph) -> list[Row]:
    """The order within rows that crosses the fewest edges, of those that the sweeps come by."""
    best, fewest = rows, count_crossings(rows, steps)
    for sweep in range(SWEEPS):
        rows = [list(row) for row in rows]
        if sweep % 2 == 0:
            pairs, neighbours = list(pairwise(range(len(rows)))), steps.predecessors
        else:
            pairs, neighbours = list(pairwise(reversed(range(len(rows))))), steps.successors
        for fixed, moved in pairs:
            places = {item: place for place, item in enumerate(rows[fixed])}
            means = [
                np.mean([places[other] for other in neighbours(item)] or [own])
                for own, item in enumerate(rows[moved])
            ]
            rows[moved] = [rows[moved][place] for place in np.argsort(means, kind="stable")]
        crossings = count_crossings(rows, steps)
        if crossings < fewest:
            best, fewest = rows, crossings
    return best


def count_crossings(rows: Sequence[Row], steps: nx.DiGraph) -> int:
    """Pairs of edges between neighbouring rows that cross."""
    total = 0
    for upper, lower in pairwise(rows):
        places = {item: place for place, item in enumerate(lower)}
        ends = [sorted(places[other] for other in steps.successors(item)) for item in upper]
        flat = [(start, end) for start, each in enumerate(ends) for end in each]
        total += sum(a < c and b > d for a, b in flat for c, d in flat)
    return total


def choose_columns(rows: Sequence[Row], steps: nx.DiGraph) -> dict[Hashable, float]:
    """Columns that keep the order and the distances, near to the neighbours'."""
    offsets = [_offsets(row) for row in rows]
    width = max((float(each[-1]) for each in offsets if len(each)), default=0.0)
    columns = {
        item: float(offset + (width - each[-1]) / 2)
        for row, each in zip(rows, offsets, strict=True)
        for item, offset in zip(row, each, strict=True)
    }
    for sweep in range(SWEEPS):
        for number in range(len(rows))[:: 1 if sweep % 2 == 0 else -1]:
            row, offset = rows[number], offsets[number]
            if not row:
                continue
            wanted = [
                np.mean([columns[other] for other in nx.all_neighbors(steps, item)] or [columns[item]])
                for item in row
            ]
            weights = [1.0 if isinstance(item, int) else 4.0 for item in row]  # long edges stay straight
            fitted = isotonic_regression(np.array(wanted) - offset, weights=weights).x
            kept = np.clip(fitted, 0.0, width - offset[-1]) + offset
            columns.update(zip(row, map(float, kept), strict=True))
    return columns


def _offsets(row: Row) -> np.ndarray:
    """Columns of a row that is packed to the left."""
    widths = [BOX if isinstance(item, int) else LINE for item in row]
    steps = [(a + b) / 2 + GAP for a, b in pairwise(widths)]
    return np.cumsum([0.0, *steps])[: len(row)]


def _draw_way(ax: Axes, points: Sequence[Place]) -> None:
    """A line through points, upright in each of them, with a head at its end."""
    (x, y), *rest = points
    y += HEIGHT / 2
    vertices, codes = [(x, y)], [Path.MOVETO]
    for x_next, y_next in rest:
        top, middle = y_next - HEIGHT / 2, (y + y_next - HEIGHT / 2) / 2
        vertices += [(x, middle), (x_next, middle), (x_next, top), (x_next, y_next + HEIGHT / 2)]
        codes += [Path.CURVE4] * 3 + [Path.LINETO]
        x, y = x_next, y_next + HEIGHT / 2
    tip_x, tip_y = vertices[-2]  # where the last box begins
    line = Path(vertices[:-1], codes[:-1])
    ax.add_patch(PathPatch(line, facecolor="none", edgecolor="#7d7d7d", linewidth=0.7, zorder=1))
    head = Path([(tip_x, tip_y), (tip_x - 0.035, tip_y - 0.075), (tip_x + 0.035, tip_y - 0.075)])
    ax.add_patch(PathPatch(head, facecolor="#4a4a4a", linewidth=0, zorder=2))


def _draw_box(ax: Axes, stage: Mapping[str, object], middle: Place, *, width: float) -> None:
    x, y = middle
    colour, pad = theme.part_colour(str(stage["part"])), 0.04
    dark = np.dot(to_rgb(colour), (0.299, 0.587, 0.114)) < 0.55
    box = FancyBboxPatch(
        (x - width / 2 + pad, y - HEIGHT / 2 + pad),
        width - 2 * pad,
        HEIGHT - 2 * pad,
        boxstyle=f"round,pad={pad}",
        facecolor=colour,
        edgecolor=theme.INK,
        linewidth=0.6,
        zorder=3,
    )
    ax.add_patch(box)
    number, jobs = theme.part_number(str(stage["part"])), f"{stage['detail']} × {stage['jobs']}".strip()
    lines = ((str(stage["rule"]), -0.065, 6.5), (f"{number} · {jobs}", 0.08, 6.0))
    for text, below, largest in lines:
        size = min(largest, 72 * (width - pad) / (LETTER * len(text)))
        ax.text(
            x,
            y + below,
            text,
            ha="center",
            va="center",
            fontsize=size,
            color="white" if dark else theme.INK,
            zorder=4,
        )
