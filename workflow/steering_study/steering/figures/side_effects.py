"""What steering costs where it should change nothing, against what it achieves."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, PercentFormatter

from steering_study.drawing import theme
from steering_study.drawing.words import span
from steering_study.steering.figures.dose_response import CONDITIONS

KL_TICKS = (0, 0.002, 0.005, 0.01, 0.03, 0.1, 0.3, 1, 3, 10)  # nats
COST_OF = {
    "bypass": "answers to harmless prompts",
    "induce": "refusals of harmful prompts",
}


def plot_side_effects(side_effects: pd.DataFrame) -> Figure:
    """KL on bystander prompts against the flip rate, a point a coefficient; a panel a model and direction.

    Args:
        side_effects: the table `side_effects`, of one or several models and methods.
    """
    models = theme.models_in(side_effects)
    conditions = theme.in_order(side_effects["condition"], CONDITIONS)
    figure = Figure(figsize=(theme.WIDTH, 2.3 * len(models) + 0.9), layout="constrained")
    axes = figure.subplots(len(models), len(conditions), squeeze=False, sharex=True)
    markers = theme.markers_of(models)
    for row, model in enumerate(models):
        for column, condition in enumerate(conditions):
            ax = axes[row, column]
            panel = side_effects.loc[
                (side_effects["model"] == model) & (side_effects["condition"] == condition)
            ]
            _draw_panel(ax, panel, marker=markers[model])
            ax.set_title(f"{theme.model_label(model)}, {condition}, n = {span(panel['n_bystanders'])}")
            ax.set_ylabel(f"KL (nats a token) on\n{COST_OF[condition]}")
            if row == len(models) - 1:
                ax.set_xlabel(
                    f"share of prompts flipped\n({theme.CONDITION_LABELS.get(condition, condition)})"
                )
    figure.legend(handles=_key(theme.methods_in(side_effects)), loc="outside lower center", ncols=4)
    return figure


def _draw_panel(ax: Axes, panel: pd.DataFrame, *, marker: str) -> None:
    for method in theme.methods_in(panel):
        curve = panel.loc[panel["method"] == method]
        curve = curve.reindex(curve["coefficient"].abs().sort_values().index)
        colour = theme.colour_of(method)
        ax.vlines(curve["flip_rate"], curve["kl_low"], curve["kl_high"], color=colour, linewidth=1, alpha=0.6)
        ax.plot(
            curve["flip_rate"], curve["kl_nats"], color=colour, marker=marker, markersize=3.5, linewidth=1
        )
        own = curve[curve["selected"]]
        ax.plot(
            own["flip_rate"],
            own["kl_nats"],
            marker=marker,
            markersize=8,
            linestyle="none",
            markerfacecolor="none",
            markeredgecolor=theme.SELECTED,
            markeredgewidth=1.6,
        )
    ax.set_xlim(-0.04, 1.04)
    ax.set_yscale("symlog", linthresh=0.01)
    ax.yaxis.set_major_locator(FixedLocator(KL_TICKS))
    ax.yaxis.set_major_formatter("{x:g}")
    ax.minorticks_off()
    ax.set_ylim(bottom=-0.001)
    ax.xaxis.set_major_formatter(PercentFormatter(1))
    ax.grid(color="#e5e5e5", linewidth=0.7)
    ax.set_axisbelow(True)


def _key(methods: list[str]) -> list[Line2D]:
    lines = [
        Line2D([], [], color=theme.colour_of(m), marker="o", markersize=4, label=theme.method_label(m))
        for m in methods
    ]
    own = Line2D(
        [],
        [],
        marker="o",
        linestyle="none",
        color=theme.SELECTED,
        markerfacecolor="none",
        label="the method's coefficient",
    )
    return [*lines, own]
