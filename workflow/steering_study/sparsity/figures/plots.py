"""What is left of steering when dimensions of the vector are set to zero, and which of them methods keep together."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator, PercentFormatter

from steering_study.drawing import theme

# Lightness and dashes tell criteria apart without colour; none of them is the colour of a method.
CRITERION_LOOKS: dict[str, dict[str, Any]] = {
    "gradient": {"color": "#000000", "linestyle": "-", "marker": "o"},
    "indirect_effect": {"color": "#00796b", "linestyle": "--", "marker": "s"},
    "bottom_k": {"color": "#b98a00", "linestyle": "-.", "marker": "^"},
    "dropout": {"color": "#a3a3a3", "linestyle": ":", "marker": "v"},
}
CRITERION_LABELS = {
    "gradient": "gradient",
    "indirect_effect": "indirect effect",
    "bottom_k": "bottom-k",
    "dropout": "dropout",
}
VARIANT_LABELS = {
    "plain": "as it is",
    "rescaled": "at the dense norm",
    "retuned": "at its own coefficient",
}
VARIANT_MARKERS = {"plain": "o", "rescaled": "s", "retuned": "^"}
SMALL: dict[str, Any] = {"markersize": 4, "linestyle": "none"}
PAIR_LOOKS = (("#1a1a1a", "o"), ("#b3541e", "s"), ("#2b8a9e", "^"), ("#9c6ade", "v"), ("#7a7a2f", "P"))
SPARSITY_LABEL = "dimensions set to zero (%)"
FAITHFULNESS_SHOWN = (-0.5, 1.75)  # a sparse vector that changes little has a faithfulness of any size
LEAST_EFFECT = 0.01  # of the dense vector's: with less, a vector's faithfulness is not drawn


def plot_sparsity(curves: pd.DataFrame, published: pd.DataFrame, families: pd.DataFrame) -> Figure:
    """Attack success against sparsity by criterion; a row a model and method, a column a test set.

    Args:
        curves: the frame `sparsity_curves`.
        published: Tables 10 and 11 as printed.
        families: which published models stand beside each of ours.
    """
    printed = published.loc[published["criterion"] == "gradient"].merge(families, on="published_model")
    figure, panels = _grid(curves, "attack success", sharey=True)
    for ax, panel, (model, method, dataset) in panels:
        _draw_criteria(ax, panel, "asr", low="asr_low", high="asr_high")
        drawn = panel.loc[panel["criterion"] == "dropout"].sort_values("sparsity_percent")
        if len(drawn):
            colour = CRITERION_LOOKS["dropout"]["color"]
            look = {"color": colour, "linewidth": 0, "alpha": 0.3, "zorder": 0}
            ax.fill_between(_kept(drawn), drawn["asr_low"], drawn["asr_high"], **look)
        own = panel.loc[panel["criterion"].isin(["none", "gradient"])]
        ax.plot(
            _kept(own), own["degenerate_rate"], color=theme.FAINT, marker="x", markersize=3, linestyle="none"
        )
        beside = (printed["model"] == model) & (printed["method"] == method) & (printed["dataset"] == dataset)
        there = printed.loc[beside]
        ax.plot(_kept(there), there["asr"], markersize=3.4, markeredgewidth=0.7, zorder=1, **theme.PUBLISHED)
        ax.set_ylim(-0.05, 1.05)
        ax.set_yticks([0, 0.5, 1])
        ax.yaxis.set_major_formatter(PercentFormatter(1))
    _sparsity_axes(figure, min(_kept(curves).min(), _kept(printed).min() if len(printed) else 100))
    for ax, _, (_, _, dataset) in panels[: len(theme.datasets_in(curves))]:
        ax.set_title(
            f"{theme.dataset_label(dataset)} prompts\n{theme.goal_of(curves, dataset)}", fontsize=8.5
        )
    handles = [
        *_criterion_handles(curves),
        Line2D([], [], color=theme.FAINT, marker="x", label="degenerate (gradient)", **SMALL),
        Line2D([], [], label="published (gradient)", markersize=4, **theme.PUBLISHED),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return figure


def plot_variants(variants: pd.DataFrame) -> Figure:
    """Attack success of the gradient's vectors as they are, at the dense norm and at a coefficient of their own.

    Args:
        variants: the frame `sparse_variants`; the coefficient's multiple stands at the top above each retuned vector.
    """
    models, datasets, methods = (
        theme.models_in(variants),
        theme.datasets_in(variants),
        theme.methods_in(variants),
    )
    names = theme.in_order(variants.loc[variants["variant"] != "dense", "variant"], VARIANT_LABELS)
    percents = sorted(variants.loc[variants["variant"] != "dense", "target_percent"].unique())
    figure = Figure(figsize=(theme.WIDTH, 2.0 * len(models) + 0.9), layout="constrained")
    axes = figure.subplots(len(models), len(datasets), squeeze=False, sharex=True, sharey=True)
    step = 0.84 / max(1, len(methods) * (len(names) + 0.6))
    for row, model in enumerate(models):
        for column, dataset in enumerate(datasets):
            ax = axes[row, column]
            panel = variants.loc[(variants["model"] == model) & (variants["dataset"] == dataset)]
            for place, method in enumerate(methods):
                rows = panel.loc[panel["method"] == method]
                start = -0.42 + place * (len(names) + 0.6) * step
                _draw_dense(ax, rows, start, width=len(names) * step, n_places=len(percents))
                for order, name in enumerate(names):
                    part = rows.loc[rows["variant"] == name]
                    x = part["target_percent"].map(percents.index) + start + (order + 0.5) * step
                    _draw_variant(ax, part, x, name, colour=theme.colour_of(method))
            ax.set_xticks(range(len(percents)), [f"{percent:g} %" for percent in percents])
            ax.set_xlim(-0.55, max(0, len(percents) - 1) + 0.55)
            ax.set_ylim(-0.05, 1.15)
            ax.set_yticks([0, 0.5, 1])
            ax.yaxis.set_major_formatter(PercentFormatter(1))
            ax.set_title(f"{theme.model_label(model)}, {theme.dataset_label(dataset)} prompts", fontsize=8.5)
            if row == len(models) - 1:
                ax.set_xlabel("dimensions set to zero")
        axes[row, 0].set_ylabel("attack success rate")
    handles = [
        Line2D([], [], color=theme.colour_of(m), marker="o", label=theme.method_label(m), **SMALL)
        for m in methods
    ]
    handles += [
        Line2D([], [], color=theme.FAINT, marker=VARIANT_MARKERS[name], label=VARIANT_LABELS[name], **SMALL)
        for name in names
    ]
    handles += [
        Line2D([], [], color=theme.FAINT, linewidth=1.2, label="dense"),
        Line2D([], [], color=theme.FAINT, marker="x", markersize=4, linestyle="none", label="degenerate"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4)
    return figure


def plot_sparse_kl(divergences: pd.DataFrame) -> Figure:
    """KL of sparse vectors to the dense one against sparsity by criterion; a row a model and method, a column a test set.

    Args:
        divergences: the table `sparsity_kl`.
    """
    figure, panels = _grid(divergences, "KL to dense (nats)", sharey="row")
    for ax, panel, _ in panels:
        _draw_criteria(ax, panel, "kl_nats", low="kl_low", high="kl_high")
    for ax, _, _ in panels:  # not before the whole row is drawn, as a limit that is set stops growing
        ax.set_ylim(bottom=0)
    _sparsity_axes(figure, _kept(divergences).min())
    figure.legend(handles=_criterion_handles(divergences), loc="outside lower center", ncols=4)
    return figure


def plot_iou(overlaps: pd.DataFrame) -> Figure:
    """Overlap of the dimensions that pairs of methods keep by the gradient, beside chance; a panel a model.

    Args:
        overlaps: the table `iou`.
    """
    own = overlaps.loc[overlaps["criterion"] == "gradient"].sort_values("sparsity_percent")
    models = theme.models_in(overlaps)
    pairs = list(dict.fromkeys(zip(own["method_a"], own["method_b"], strict=True)))
    figure = Figure(figsize=(theme.WIDTH, 2.9), layout="constrained")
    axes = figure.subplots(1, max(1, len(models)), squeeze=False, sharey=True)[0]
    handles = []
    for ax, model in zip(axes, models, strict=False):
        for place, (a, b) in enumerate(pairs):
            colour, marker = PAIR_LOOKS[place % len(PAIR_LOOKS)]
            rows = own.loc[(own["model"] == model) & (own["method_a"] == a) & (own["method_b"] == b)]
            x = _kept(rows)
            ax.plot(x, rows["chance"], color=colour, linestyle="--", linewidth=0.9, zorder=1)
            ax.plot(x, rows["iou"], color=colour, linewidth=1.2, zorder=2)
            for is_beyond, face in ((True, colour), (False, "white")):
                part = rows.loc[(rows["p_adjusted"] < 0.05) == is_beyond]
                dots = {"color": colour, "markersize": 4.5, "markerfacecolor": face}
                ax.plot(_kept(part), part["iou"], marker, zorder=3, **dots)
        ax.set_title(theme.model_label(model), fontsize=9)
        ax.set_ylim(-0.03, 1.03)
    for place, (a, b) in enumerate(pairs):
        colour, marker = PAIR_LOOKS[place % len(PAIR_LOOKS)]
        label = f"{theme.method_label(a)} and {theme.method_label(b)}"
        handles.append(Line2D([], [], color=colour, marker=marker, markersize=4.5, label=label))
    handles += [
        Line2D([], [], color=theme.FAINT, linestyle="--", linewidth=0.9, label="chance"),
        Line2D(
            [],
            [],
            color=theme.FAINT,
            marker="o",
            markersize=4.5,
            markerfacecolor="white",
            linestyle="none",
            label="p ≥ 0.05",
        ),
    ]
    _sparsity_axes(figure, _kept(own).dropna().min() if _kept(own).notna().any() else 1)
    for ax in axes:
        ax.set_xlabel(SPARSITY_LABEL, fontsize=8.5)
    axes[0].set_ylabel("intersection over union")
    figure.legend(handles=handles, loc="outside lower center", ncols=5)
    return figure


def plot_sparse_circuits(circuits: pd.DataFrame) -> Figure:
    """Faithfulness of the dense vector's circuits for dense and sparse vectors; a row a model, a column a method.

    A vector with less than `LEAST_EFFECT` of the dense one's effect has no curve: faithfulness divides by that effect.

    Args:
        circuits: the frame `sparse_circuits`.
    """
    models, methods = theme.models_in(circuits), theme.methods_in(circuits)
    percents = sorted(circuits["target_percent"].unique())
    styles = ("-", "--", ":", "-.")
    figure = Figure(figsize=(theme.WIDTH, 2.05 * len(models) + 0.6), layout="constrained")
    axes = figure.subplots(len(models), len(methods), squeeze=False, sharex="row", sharey=True)
    for row, model in enumerate(models):
        for column, method in enumerate(methods):
            ax = axes[row, column]
            panel = circuits.loc[(circuits["model"] == model) & (circuits["method"] == method)]
            gaps = panel.groupby("target_percent")["gap"].first().sort_index()
            drawn = gaps.index[gaps.abs() >= LEAST_EFFECT * abs(gaps.iloc[0])]
            for percent in drawn:
                rows = panel.loc[panel["target_percent"] == percent].sort_values("n_edges")
                ax.plot(
                    rows["n_edges"],
                    rows["faithfulness"],
                    color=theme.colour_of(method),
                    linewidth=1.4,
                    linestyle=styles[percents.index(percent) % len(styles)],
                    alpha=1 if percent == 0 else 0.85,
                )
            for level in (0, 1):
                ax.axhline(level, color="#d0d0d0", linewidth=0.8, zorder=0)
            made = ", ".join(f"{gap:.2g}" for gap in gaps)
            ax.set_xscale("log")
            ax.set_ylim(*FAITHFULNESS_SHOWN)
            ax.set_title(f"{theme.model_label(model)}, {theme.method_label(method)}", fontsize=8.5)
            ax.text(
                0.98,
                0.07,
                f"effect {made} logits",
                transform=ax.transAxes,
                ha="right",
                va="center",
                fontsize=7,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5},
            )
            if row == len(models) - 1:
                ax.set_xlabel("edges in circuit")
        axes[row, 0].set_ylabel("faithfulness")
    handles = [
        Line2D(
            [],
            [],
            color=theme.INK,
            linestyle=styles[place % len(styles)],
            label=f"{percent:g} % set to zero" if percent else "dense vector",
        )
        for place, percent in enumerate(percents)
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    return figure


def criterion_label(name: str) -> str:
    """Name of a criterion as printed."""
    return CRITERION_LABELS.get(name, name)


Panel = tuple[Axes, pd.DataFrame, tuple[str, str, str]]  # rows of one model, method and test set


def _grid(frame: pd.DataFrame, label: str, *, sharey: bool | Literal["row"]) -> tuple[Figure, list[Panel]]:
    """A figure with a row a model and method, and a column a test set."""
    rows_of = [
        (model, method)
        for model in theme.models_in(frame)
        for method in theme.methods_in(frame.loc[frame["model"] == model])
    ]
    datasets = theme.datasets_in(frame)
    figure = Figure(figsize=(theme.WIDTH, 1.22 * len(rows_of) + 1.2), layout="constrained")
    axes = figure.subplots(len(rows_of), len(datasets), squeeze=False, sharex=True, sharey=sharey)
    panels = []
    for row, (model, method) in enumerate(rows_of):
        for column, dataset in enumerate(datasets):
            ax = axes[row, column]
            at = (frame["model"] == model) & (frame["method"] == method) & (frame["dataset"] == dataset)
            panels.append((ax, frame.loc[at], (model, method, dataset)))
            if row == 0:
                ax.set_title(f"{theme.dataset_label(dataset)} prompts", fontsize=8.5)
            if row == len(rows_of) - 1:
                ax.set_xlabel(SPARSITY_LABEL, fontsize=8.5)
        axes[row, 0].set_ylabel(label, fontsize=8)
        axes[row, -1].annotate(
            f"{theme.model_label(model)}\n{theme.method_label(method)}",
            (1.03, 0.5),
            xycoords="axes fraction",
            rotation=-90,
            va="center",
            ha="left",
            fontsize=8,
        )
    return figure, panels


def _draw_criteria(ax: Axes, panel: pd.DataFrame, value: str, *, low: str, high: str) -> None:
    """A line a criterion from the dense vector on, the gradient's with its intervals."""
    dense = panel.loc[panel["criterion"] == "none"]
    for name in reversed(_criteria_in(panel)):
        rows = panel.loc[panel["criterion"] == name].sort_values("sparsity_percent")
        line = pd.concat([dense, rows])
        ax.plot(_kept(line), line[value], markersize=2.8, linewidth=1.15, **CRITERION_LOOKS[name])
        if name == "gradient":
            ax.vlines(_kept(line), line[low], line[high], color=CRITERION_LOOKS[name]["color"], linewidth=0.8)


def _draw_dense(ax: Axes, rows: pd.DataFrame, start: float, *, width: float, n_places: int) -> None:
    for asr in rows.loc[rows["variant"] == "dense", "asr"]:
        left = np.arange(n_places) + start
        ax.hlines(
            [asr] * n_places, left, left + width, color=theme.colour_of(rows["method"].iloc[0]), linewidth=1.2
        )


def _draw_variant(ax: Axes, rows: pd.DataFrame, x: pd.Series, name: str, *, colour: str) -> None:
    ax.vlines(x, rows["asr_low"], rows["asr_high"], color=colour, linewidth=0.9)
    ax.plot(x, rows["asr"], color=colour, marker=VARIANT_MARKERS[name], markersize=3.6, linestyle="none")
    ax.plot(x, rows["degenerate_rate"], color=colour, marker="x", markersize=3, linestyle="none")
    if name == "retuned":
        for place, factor in zip(x, rows["factor"], strict=True):
            ax.text(place, 1.09, f"×{factor:g}", ha="center", va="center", fontsize=6, color=colour)


def _kept(rows: pd.DataFrame) -> pd.Series:
    """Percent of dimensions that are kept: the axis of sparsity, from 100 down, with a logarithmic scale.

    A vector that keeps none has no place on it: NaN, which is not drawn.
    """
    kept = 100 - rows["sparsity_percent"]
    return kept.where(kept > 0)


def _sparsity_axes(figure: Figure, least_kept: float) -> None:
    shown = [percent for percent in (0, 50, 80, 90, 95, 99, 99.7) if 100 - percent >= 0.9 * least_kept]
    for ax in figure.axes:
        ax.set_xscale("log")
        ax.set_xlim(125, least_kept / 1.25)
        ax.set_xticks([100 - percent for percent in shown], [f"{percent:g}" for percent in shown])
        ax.xaxis.set_minor_locator(NullLocator())
        ax.tick_params(labelsize=7.5)
        ax.grid(color="#ececec", linewidth=0.6)


def _criteria_in(frame: pd.DataFrame) -> list[str]:
    return [name for name in CRITERION_LOOKS if name in set(frame["criterion"])]


def _criterion_handles(frame: pd.DataFrame) -> list[Line2D]:
    return [
        Line2D([], [], markersize=4, label=criterion_label(name), **CRITERION_LOOKS[name])
        for name in _criteria_in(frame)
    ]
