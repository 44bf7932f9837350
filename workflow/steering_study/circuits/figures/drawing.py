"""Circuits drawn as layered graphs: blocks from bottom to top, heads from left to right, the MLP at the right."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch

from steering_study.drawing import theme

POSITIVE, NEGATIVE = "#1d4788", "#ec8a72"  # dark and light, for print without colour
INTO = {"attn_q": ":", "attn_k": "--", "attn_v": "-", "mlp": "-", "lm_head": "-"}


def plot_circuits(edges: pd.DataFrame) -> Figure:
    """The first edges that a method's circuits take up; a row a model, a panel a method.

    Args:
        edges: the table `top_edges`.
    """
    models, methods = theme.models_in(edges), theme.methods_in(edges)
    height = 3.3 if len(methods) > 1 else 4.6  # of a row; a drawing alone has the whole width
    figure = Figure(figsize=(theme.WIDTH, height * len(models) + 0.5), layout="constrained")
    axes = figure.subplots(len(models), len(methods), squeeze=False)
    for row, model in enumerate(models):
        of_model = edges.loc[edges["model"] == model]
        nodes = {*of_model["src"], *of_model["dst_node"]}
        layers = sorted({layer for node in nodes if (layer := layer_of(node)) is not None})
        n_heads = 1 + max((head for node in nodes if (head := head_of(node)) is not None), default=0)
        for column, method in enumerate(methods):
            rows = of_model.loc[of_model["method"] == method]
            _draw(axes[row, column], rows, layers=layers, n_heads=n_heads)
            axes[row, column].set_title(
                f"{theme.model_label(model)}, {theme.method_label(method)}\n{len(rows)} edges", fontsize=8
            )
    handles = [
        Line2D([], [], color=POSITIVE, label="carries steering"),
        Line2D([], [], color=NEGATIVE, label="works against it"),
        Line2D([], [], color=theme.FAINT, linestyle=":", label="into queries"),
        Line2D([], [], color=theme.FAINT, linestyle="--", label="into keys"),
        Line2D([], [], color=theme.INK, linewidth=0, marker="s", markersize=5, label="MLP"),
        Line2D([], [], color=theme.INK, linewidth=0, marker="o", markersize=5, label="head"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=6)
    return figure


def layer_of(node: str) -> int | None:
    """Block of a node by its printed name; None for resid_steer and the LM head."""
    found = re.match(r"[am](\d+)", node)
    return int(found[1]) if found else None


def head_of(node: str) -> int | None:
    """Head of a node by its printed name; None for MLPs and the ends."""
    found = re.search(r"\.h(\d+)", node)
    return int(found[1]) if found else None


def positions_of(nodes: set[str], *, layers: list[int], n_heads: int) -> dict[str, tuple[float, float]]:
    """Where each node stands: heads below the MLP of their block, which stands at their right."""
    height = {layer: 1 + i for i, layer in enumerate(layers)}
    places = {"resid_steer": (n_heads / 2, 0.0), "lm_head": (n_heads / 2, len(layers) + 1.0)}
    for node in sorted(nodes):  # a set has another order in every process
        layer, head = layer_of(node), head_of(node)
        if layer is not None:
            places[node] = (
                (float(head), height[layer]) if head is not None else (n_heads + 0.5, height[layer] + 0.4)
            )
    return places


def _draw(ax: Axes, edges: pd.DataFrame, *, layers: list[int], n_heads: int) -> None:
    places = positions_of({*edges["src"], *edges["dst_node"]}, layers=layers, n_heads=n_heads)
    largest = edges["score"].abs().max()
    for row in edges.to_dict("records"):
        weight = np.sqrt(abs(row["score"]) / largest)
        arrow = FancyArrowPatch(
            places[row["src"]],
            places[row["dst_node"]],
            connectionstyle="arc3,rad=0.12",
            arrowstyle="-",
            color=POSITIVE if row["score"] > 0 else NEGATIVE,
            linewidth=0.3 + 2.2 * weight,
            alpha=0.35 + 0.6 * weight,
            linestyle=INTO[row["dst_kind"]],
            shrinkA=3,
            shrinkB=3,
            zorder=1,
        )
        ax.add_patch(arrow)
    for node, (x, y) in places.items():
        is_head = head_of(node) is not None
        ax.plot(
            x,
            y,
            marker="o" if is_head else "s",
            markersize=4.5,
            color="white",
            markeredgecolor=theme.INK,
            zorder=2,
        )
    for node, y, va in (("steering residual", 0.0, "top"), ("LM head", len(layers) + 1.0, "bottom")):
        ax.annotate(
            node,
            (n_heads / 2, y),
            textcoords="offset points",
            xytext=(0, -5 if va == "top" else 5),
            ha="center",
            va=va,
            fontsize=6.5,
        )
    ax.set_xlim(-0.8, n_heads + 1.2)
    ax.set_ylim(-0.35, len(layers) + 1.3)
    ax.set_yticks([1 + i for i in range(len(layers))], [f"block {layer}" for layer in layers], fontsize=6.5)
    ax.set_xticks(
        range(0, n_heads, max(1, n_heads // 8)),
        [f"h{h}" for h in range(0, n_heads, max(1, n_heads // 8))],
        fontsize=6,
    )
    ax.tick_params(length=0)
    for side in ax.spines.values():
        side.set_visible(False)
