"""Attack success rates with their intervals, beside the published ones (Table 2)."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from steering_study.drawing import theme
from steering_study.drawing.words import span

SPREAD = 0.7  # width that the methods of a dataset take together
MOST_SIDE_BY_SIDE = 3  # methods, beyond which each model takes the whole width
PUBLISHED_MARKERS = ("D", "d")  # of the first and the second published model


def plot_asr(asr: pd.DataFrame, published: pd.DataFrame) -> Figure:
    """Attack success rate per dataset and method with its interval; a panel a model.

    Args:
        asr: the table `asr`, of one or several models.
        published: model, published_model, dataset, method, asr; `model` and `dataset` are ours, beside which
            the published value stands.
    """
    models, methods = theme.models_in(asr), theme.methods_in(asr)
    beside = published.loc[published["method"].isin(methods)]
    n_rows = len(models) if len(methods) > MOST_SIDE_BY_SIDE else 1
    figure = Figure(figsize=(theme.WIDTH, 2.6 * n_rows + 0.9), layout="constrained")
    axes = figure.subplots(n_rows, len(models) // n_rows, squeeze=False, sharey=True).ravel()
    markers, shapes = theme.markers_of(models), _published_markers(beside)
    for ax, model in zip(axes, models, strict=True):
        panel = asr.loc[asr["model"] == model]
        _draw_panel(
            ax, panel, beside.loc[beside["model"] == model], methods, marker=markers[model], shapes=shapes
        )
        ax.set_title(theme.model_label(model))
    figure.supylabel("attack success rate (share of texts not refused)", fontsize="small")
    figure.legend(handles=_key(methods, shapes), loc="outside lower center", ncols=3)
    return figure


def _draw_panel(
    ax: Axes,
    panel: pd.DataFrame,
    beside: pd.DataFrame,
    methods: list[str],
    *,
    marker: str,
    shapes: dict[str, str],
) -> None:
    datasets = theme.datasets_in(panel)
    step = SPREAD / max(len(methods), 2)
    for row in panel.to_dict("records"):
        x = datasets.index(row["dataset"]) + step * (methods.index(row["method"]) - (len(methods) - 1) / 2)
        colour = theme.colour_of(row["method"])
        ax.vlines(x, row["asr_low"], row["asr_high"], color=colour, linewidth=2)
        ax.plot(x, row["asr"], marker=marker, markersize=6, color=colour, linestyle="none")
        ax.plot(x, row["degenerate_rate"], marker="x", markersize=4, color=theme.FAINT, linestyle="none")
        here = beside.loc[(beside["dataset"] == row["dataset"]) & (beside["method"] == row["method"])]
        for place, value in enumerate(here.to_dict("records"), start=1):
            shape = {**theme.PUBLISHED, "marker": shapes[value["published_model"]]}
            ax.plot(x + place * min(0.09, step / 2), value["asr"], markersize=6, markeredgewidth=1.1, **shape)
    ax.set_xticks(range(len(datasets)), [_dataset_label(panel, dataset) for dataset in datasets])
    ax.set_xlim(-0.6, len(datasets) - 0.4)
    ax.set_ylim(-0.04, 1.04)
    ax.yaxis.set_major_formatter(PercentFormatter(1))
    ax.grid(axis="y", color="#e5e5e5", linewidth=0.7)
    ax.set_axisbelow(True)
    for place in range(1, len(datasets)):
        ax.axvline(place - 0.5, color="#e5e5e5", linewidth=0.7, zorder=0)


def _dataset_label(panel: pd.DataFrame, dataset: str) -> str:
    n = span(panel.loc[panel["dataset"] == dataset, "n"])
    return f"{theme.dataset_label(dataset)}\n{theme.goal_of(panel, dataset)}\nn = {n}"


def _published_markers(beside: pd.DataFrame) -> dict[str, str]:
    names = theme.in_order(beside["published_model"], theme.MODEL_LABELS)
    return {name: PUBLISHED_MARKERS[place % len(PUBLISHED_MARKERS)] for place, name in enumerate(names)}


def _key(methods: list[str], shapes: dict[str, str]) -> list[Line2D]:
    ours = [
        Line2D(
            [],
            [],
            color=theme.colour_of(m),
            marker="o",
            linewidth=2,
            label=f"{theme.method_label(m)}, with interval",
        )
        for m in methods
    ]
    printed = [
        Line2D(
            [],
            [],
            **{**theme.PUBLISHED, "marker": shape},
            label=f"published, {theme.model_label(name)}",
        )
        for name, shape in shapes.items()
    ]
    return [
        *ours,
        *printed,
        Line2D(
            [], [], marker="x", color=theme.FAINT, linestyle="none", markersize=4, label="degenerate texts"
        ),
    ]
