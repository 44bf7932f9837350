"""Dose-response curves of a steering vector: how many prompts flip, and what it costs (docs/steering.md)."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, PercentFormatter

from steering_study.drawing import theme
from steering_study.drawing.words import span

# Negative coefficients to the left, so that the two panels of a model read as one axis
CONDITIONS = ("bypass", "induce")


def plot_dose_response(curves: pd.DataFrame) -> Figure:
    """Flip rate with its interval and degenerate rate against the coefficient; a panel a model and direction.

    Args:
        curves: the table `dose_response`, of one or several models and methods.
    """
    models = theme.models_in(curves)
    conditions = theme.in_order(curves["condition"], CONDITIONS)
    figure = Figure(figsize=(theme.WIDTH, 2.1 * len(models) + 0.7), layout="constrained")
    axes = figure.subplots(len(models), len(conditions), squeeze=False, sharey=True, sharex="col")
    markers = theme.markers_of(models)
    for row, model in enumerate(models):
        for column, condition in enumerate(conditions):
            ax = axes[row, column]
            panel = curves.loc[(curves["model"] == model) & (curves["condition"] == condition)]
            _draw_panel(ax, panel, marker=markers[model])
            ax.set_title(_title(model, condition, panel))
            if row == len(models) - 1:
                ax.set_xlabel(f"coefficient\n({theme.CONDITION_LABELS.get(condition, condition)})")
        axes[row, 0].set_ylabel("share of prompts")
    figure.legend(handles=_key(curves), loc="outside lower center", ncols=3)
    return figure


def _draw_panel(ax: Axes, panel: pd.DataFrame, *, marker: str) -> None:
    for method in theme.methods_in(panel):
        curve = panel.loc[panel["method"] == method].sort_values("coefficient")
        dose, colour = curve["coefficient"], theme.colour_of(method)
        ax.fill_between(dose, curve["flip_low"], curve["flip_high"], color=colour, alpha=0.2, linewidth=0)
        ax.plot(dose, curve["flip_rate"], color=colour, marker=marker, markersize=4, linewidth=1.6)
        ax.plot(dose, curve["degenerate_rate"], color=colour, linestyle=(0, (4, 2)), linewidth=1.2)
        chosen = curve[curve["selected"]]
        for coefficient in chosen["coefficient"]:
            ax.axvline(coefficient, color=theme.SELECTED, linewidth=1, linestyle=":", zorder=0)
        ax.plot(
            chosen["coefficient"],
            chosen["flip_rate"],
            marker=marker,
            markersize=8,
            linestyle="none",
            markerfacecolor="none",
            markeredgecolor=theme.SELECTED,
            markeredgewidth=1.8,
        )
    ax.set_ylim(-0.04, 1.04)
    ax.xaxis.set_major_locator(MaxNLocator(5))
    ax.yaxis.set_major_formatter(PercentFormatter(1))
    ax.grid(axis="y", color="#e5e5e5", linewidth=0.7)
    ax.set_axisbelow(True)
    ax.tick_params(labelbottom=True)


def _title(model: str, condition: str, panel: pd.DataFrame) -> str:
    return f"{theme.model_label(model)}, {condition}, n = {span(panel['n'])}"


def _key(curves: pd.DataFrame) -> list[Line2D]:
    methods = theme.methods_in(curves)
    lines = [
        Line2D(
            [],
            [],
            color=theme.colour_of(m),
            linewidth=1.8,
            label=f"{theme.method_label(m)}: flipped, with interval",
        )
        for m in methods
    ]
    grey = theme.colour_of(methods[0]) if len(methods) == 1 else theme.FAINT
    return [
        *lines,
        Line2D([], [], color=grey, linewidth=1.2, linestyle=(0, (4, 2)), label="degenerate"),
        Line2D(
            [],
            [],
            marker="o",
            linestyle=":",
            color=theme.SELECTED,
            markerfacecolor="none",
            label="chosen coefficient",
        ),
    ]
