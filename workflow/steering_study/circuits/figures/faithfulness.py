"""Faithfulness: over the size of a circuit, between methods, and beside circuits that should carry less."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from steering_study.drawing import theme

SETS = ("harmful_steer", "harmful_base", "harmless_steer", "harmless_base")
RANKING_LABELS = {
    "own": "four sets pooled, |score|",
    "own_signed": "four sets pooled, score",
    "held_out": "found on one half, judged on the other",
    "kl_0": "directional KL, all positions",
    "kl_1": "directional KL ≥ 1 nat",
    "kl_5": "directional KL ≥ 5 nats",
    "harmful_steer": "harmful prompts, steered text",
    "harmful_base": "harmful prompts, base text",
    "harmless_steer": "harmless prompts, steered text",
    "harmless_base": "harmless prompts, base text",
}
KIND_LABELS = {
    "own": "the circuit",
    "interchanged": "circuit of another method",
    "complement": "all but the circuit",
    "random": "random, twice its size",
    "without_q": "all but edges into queries",
    "without_k": "all but edges into keys",
    "without_qk": "all but edges into queries and keys",
    "without_v": "all but edges into values",
    "without_mlp": "all but edges into MLPs",
}
_STYLES = {
    "own": ("-", 2.0),
    "own_signed": ("--", 1.3),
    "held_out": (":", 1.6),
    "kl_0": ((0, (5, 1)), 1.1),
    "kl_1": ((0, (3, 1, 1, 1)), 1.1),
    "kl_5": ((0, (1, 1)), 1.1),
}


def plot_faithfulness(curves: pd.DataFrame, published: pd.DataFrame) -> Figure:
    """Faithfulness of a method's own circuits over their share of all edges; a panel a model and test set.

    Args:
        curves: the table `faithfulness`.
        published: minimum-faithful circuits as published: model, share_of_edges, faithfulness.
    """
    own = curves.loc[curves["kind"] == "own"]
    models, datasets = theme.models_in(own), theme.datasets_in(own)
    figure = Figure(figsize=(theme.WIDTH, 2.3 * len(models) + 0.8), layout="constrained")
    axes = figure.subplots(len(models), len(datasets), squeeze=False, sharey=True, sharex=True)
    markers = theme.markers_of(models)
    for row, model in enumerate(models):
        for column, dataset in enumerate(datasets):
            ax = axes[row, column]
            panel = own.loc[(own["model"] == model) & (own["dataset"] == dataset)]
            for method in _methods(panel, "vector_method"):
                curve = panel.loc[panel["vector_method"] == method].sort_values("n_edges")
                _draw_curve(ax, curve, colour=theme.colour_of(method), marker=markers[model])
            ax.plot(published["share_of_edges"], published["faithfulness"], markersize=5, **theme.PUBLISHED)
            _furnish(ax)
            ax.set_title(f"{theme.model_label(model)}, {theme.dataset_label(dataset)} prompts")
            if row == len(models) - 1:
                ax.set_xlabel("share of all edges")
        axes[row, 0].set_ylabel("faithfulness")
    handles = [
        Line2D([], [], color=theme.colour_of(m), marker="o", markersize=4, label=theme.method_label(m))
        for m in _methods(own, "vector_method")
    ]
    handles += [
        Line2D(
            [],
            [],
            color=theme.SELECTED,
            marker="o",
            linestyle="none",
            markerfacecolor="none",
            markersize=9,
            label="minimum-faithful",
        ),
        Line2D([], [], label="published (Gemma 2 2B, Llama 3.2 3B)", markersize=5, **theme.PUBLISHED),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return figure


def plot_rankings(curves: pd.DataFrame) -> Figure:
    """Faithfulness, mean of the test sets, of circuits ranked by size or sign of the score, or by another metric.

    Args:
        curves: the table `faithfulness`.
    """
    return _plot_ways(curves, [name for name in RANKING_LABELS if name not in SETS])


def plot_patching_sets(curves: pd.DataFrame) -> Figure:
    """Faithfulness, mean of the test sets, of circuits found on all four patching sets, or on one alone.

    Args:
        curves: the table `faithfulness`.
    """
    return _plot_ways(curves, ["own", *SETS])


def _plot_ways(curves: pd.DataFrame, ways: Sequence[str]) -> Figure:
    """Curves of some rankings; a panel a model and method."""
    table = curves.assign(ranking=curves["kind"].where(curves["kind"] != "by_metric", curves["metric"]))
    table = table.loc[table["ranking"].isin(ways)]
    keys = ["model", "vector_method", "ranking", "nominal_edges"]
    mean = table.groupby(keys, sort=False)[["share_of_edges", "faithfulness"]].mean().reset_index()
    models, methods = theme.models_in(mean), _methods(mean, "vector_method")
    figure = Figure(figsize=(theme.WIDTH, 2.2 * len(models) + 1.0), layout="constrained")
    axes = figure.subplots(len(models), len(methods), squeeze=False, sharey=True, sharex=True)
    known = [name for name in ways if name in set(mean["ranking"])]
    for row, model in enumerate(models):
        for column, method in enumerate(methods):
            ax = axes[row, column]
            panel = mean.loc[(mean["model"] == model) & (mean["vector_method"] == method)]
            for name in known:
                curve = panel.loc[panel["ranking"] == name].sort_values("nominal_edges")
                ax.plot(
                    curve["share_of_edges"], curve["faithfulness"], **_style(name, theme.colour_of(method))
                )
            _furnish(ax)
            ax.set_title(f"{theme.model_label(model)}, {theme.method_label(method)}")
            if row == len(models) - 1:
                ax.set_xlabel("share of all edges")
        axes[row, 0].set_ylabel("faithfulness")
    handles = [Line2D([], [], label=RANKING_LABELS[name], **_style(name, theme.INK)) for name in known]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=7.5)
    return figure


def plot_beside(table: pd.DataFrame) -> Figure:
    """What a circuit is held against: its complement, random and interchanged circuits, and kinds of edges left out.

    Args:
        table: the table `faithfulness`.
    """
    shown = table.loc[table["minimum"] | (table["kind"].isin(KIND_LABELS) & (table["kind"] != "own"))]
    models, methods = theme.models_in(shown), _methods(shown, "vector_method")
    kinds = [kind for kind in KIND_LABELS if kind in set(shown["kind"])]
    height = 0.32 * len(kinds) + 1.1
    figure = Figure(figsize=(theme.WIDTH, height), layout="constrained")
    axes = figure.subplots(1, len(models), squeeze=False, sharey=True, sharex=True)
    markers = theme.markers_of(models)
    for column, model in enumerate(models):
        ax = axes[0, column]
        for place, method in enumerate(methods):
            shift = 0.5 * (place - (len(methods) - 1) / 2) / len(methods)
            rows = shown.loc[(shown["model"] == model) & (shown["vector_method"] == method)]
            y = rows["kind"].map({kind: i for i, kind in enumerate(kinds)}) + shift
            colour = theme.colour_of(method)
            ax.hlines(y, rows["low"], rows["high"], color=colour, linewidth=1)
            ax.plot(
                rows["faithfulness"], y, color=colour, marker=markers[model], markersize=3.2, linestyle="none"
            )
        for value in (0, 1):
            ax.axvline(value, color="#d0d0d0", linewidth=0.8, zorder=0)
        ax.set_title(theme.model_label(model))
        ax.set_xlabel("faithfulness")
        ax.set_yticks(range(len(kinds)), [KIND_LABELS[kind] for kind in kinds])
    axes[0, 0].invert_yaxis()
    handles = [
        Line2D([], [], color=theme.colour_of(m), marker="o", markersize=4, label=theme.method_label(m))
        for m in methods
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(methods))
    return figure


def _methods(frame: pd.DataFrame, column: str) -> list[str]:
    return theme.in_order(frame[column], theme.METHOD_LABELS)


def _draw_curve(ax: Axes, curve: pd.DataFrame, *, colour: str, marker: str) -> None:
    x = curve["share_of_edges"]
    ax.fill_between(x, curve["low"], curve["high"], color=colour, alpha=0.15, linewidth=0)
    ax.plot(x, curve["faithfulness"], color=colour, marker=marker, markersize=3, linewidth=1.3)
    smallest = curve.loc[curve["minimum"]]
    ax.plot(
        smallest["share_of_edges"],
        smallest["faithfulness"],
        color=theme.SELECTED,
        marker="o",
        markerfacecolor="none",
        markersize=9,
        linestyle="none",
    )


def _furnish(ax: Axes) -> None:
    for value in (0, 1):
        ax.axhline(value, color="#d0d0d0", linewidth=0.8, zorder=0)
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter(FuncFormatter(lambda share, place: f"{100 * share:g}%"))  # 0.1% stays 0.1%
    ax.xaxis.set_minor_formatter(FuncFormatter(lambda value, place: ""))


def _style(name: str, colour: str) -> dict[str, Any]:
    """Look of a ranking: the main one heavy, patching sets thin and grey, others by their dashes."""
    if name in SETS:
        greys = {"harmful": "#444444", "harmless": "#aaaaaa"}
        text = name.rpartition("_")
        return {"color": greys[text[0]], "linestyle": "-" if text[2] == "steer" else "--", "linewidth": 0.9}
    dashes, width = _STYLES[name]
    return {"color": colour, "linestyle": dashes, "linewidth": width}
