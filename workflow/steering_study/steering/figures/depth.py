"""Flip rates over the layer that is steered, for every method."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, PercentFormatter

from steering_study.drawing import theme
from steering_study.drawing.words import span
from steering_study.steering.figures.dose_response import CONDITIONS

SPREAD = 0.5  # of a layer, that the methods at it take together


def plot_depth(layers: pd.DataFrame, selected: pd.DataFrame) -> Figure:
    """Flip rate with its interval and degenerate rate against the steering layer; a panel a model and direction.

    Args:
        layers: the table `layers`, of one or several models and methods.
        selected: model and layer that DIM's selection chose.
    """
    models = theme.models_in(layers)
    conditions = theme.in_order(layers["condition"], CONDITIONS)
    figure = Figure(figsize=(theme.WIDTH, 2.2 * len(models) + 0.9), layout="constrained")
    axes = figure.subplots(len(models), len(conditions), squeeze=False, sharey=True)
    markers, chosen = theme.markers_of(models), selected.set_index("model")["layer"]
    for row, model in enumerate(models):
        for column, condition in enumerate(conditions):
            ax = axes[row, column]
            panel = layers.loc[(layers["model"] == model) & (layers["condition"] == condition)]
            ax.axvline(chosen[model], color=theme.SELECTED, linewidth=1, linestyle=":", zorder=0)
            _draw_panel(ax, panel, marker=markers[model])
            ax.set_title(f"{theme.model_label(model)}, {condition}, n = {span(panel['n'])}")
            if row == len(models) - 1:
                ax.set_xlabel(f"steering layer\n({theme.CONDITION_LABELS.get(condition, condition)})")
        axes[row, 0].set_ylabel("share of prompts")
    figure.legend(handles=_key(theme.methods_in(layers)), loc="outside lower center", ncols=4)
    return figure


def _draw_panel(ax: Axes, panel: pd.DataFrame, *, marker: str) -> None:
    methods = theme.methods_in(panel)
    for place, method in enumerate(methods):
        curve = panel.loc[panel["method"] == method].sort_values("layer")
        shift = SPREAD * (place - (len(methods) - 1) / 2) / len(methods)
        x, colour = curve["layer"] + shift, theme.colour_of(method)
        ax.vlines(x, curve["flip_low"], curve["flip_high"], color=colour, linewidth=1.4)
        ax.plot(x, curve["flip_rate"], color=colour, marker=marker, markersize=3.5, linewidth=1.2)
        ax.plot(x, curve["degenerate_rate"], color=colour, marker="x", markersize=3, linestyle="none")
    ax.set_ylim(-0.04, 1.04)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.yaxis.set_major_formatter(PercentFormatter(1))
    ax.grid(axis="y", color="#e5e5e5", linewidth=0.7)
    ax.set_axisbelow(True)


def _key(methods: list[str]) -> list[Line2D]:
    lines = [
        Line2D(
            [],
            [],
            color=theme.colour_of(m),
            marker="o",
            markersize=4,
            label=f"{theme.method_label(m)}: flipped",
        )
        for m in methods
    ]
    return [
        *lines,
        Line2D([], [], color=theme.FAINT, marker="x", markersize=4, linestyle="none", label="degenerate"),
        Line2D([], [], color=theme.SELECTED, linestyle=":", label="layer of the study"),
    ]
