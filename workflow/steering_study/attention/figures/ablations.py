"""What freezing and clearing take from steering: per model and test set, by scope, and in words."""

from __future__ import annotations

import pandas as pd
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from steering_study.drawing import theme
from steering_study.drawing.html import Cell, html_table
from steering_study.drawing.words import NARROW, percent, rate, signed

ABLATION_LABELS = {
    "none": "steering alone",
    "qk": "attention weights frozen (qk)",
    "q": "queries frozen (q)",
    "k": "keys frozen (k)",
    "ov": "values frozen (ov)",
    "svv": "values cleared (svv)",
    "mlp": "MLPs cleared (mlp)",
    "mlp_pre_norm": "MLPs cleared before norm",
    "qk+mlp": "qk and mlp",
}
SCOPE_LABELS = {
    "all": "at every position",
    "prompt": "in the prompt alone",
    "response": "in the response alone",
}
EXAMPLE_LABELS = {
    "base": "without steering",
    "none": "with DIM",
    "qk": "with DIM, attention weights frozen",
    "ov": "with DIM, values frozen",
}


def plot_ablations(ablations: pd.DataFrame, published: pd.DataFrame) -> Figure:
    """Change of attack success by each ablation, the vector at every position; a panel a model and test set.

    Args:
        ablations: the table `ablations`.
        published: Table 1 as printed: ablation, dataset, change_points.
    """
    shown = ablations.loc[(ablations["scope"] == "all") & (ablations["ablation"] != "none")]
    models, datasets = theme.models_in(shown), theme.datasets_in(shown)
    methods, names = theme.methods_in(shown), _ablations_in(shown)
    markers = theme.markers_of(models)
    figure = Figure(
        figsize=(theme.WIDTH, (0.27 * len(names) + 0.65) * len(models) + 0.7), layout="constrained"
    )
    axes = figure.subplots(len(models), len(datasets), squeeze=False, sharex=True, sharey=True)
    for row, model in enumerate(models):
        for column, dataset in enumerate(datasets):
            ax = axes[row, column]
            panel = shown.loc[(shown["model"] == model) & (shown["dataset"] == dataset)]
            for place, method in enumerate(methods):
                rows = panel.loc[panel["method"] == method]
                y = rows["ablation"].map(_places(names)) + _offset(place, len(methods))
                colour = theme.colour_of(method)
                ax.hlines(y, rows["change_low"], rows["change_high"], color=colour, linewidth=1.2)
                ax.plot(rows["change_points"], y, markers[model], color=colour, markersize=3.6)
            printed = published.loc[(published["dataset"] == dataset) & published["ablation"].isin(names)]
            printed = printed.dropna(subset=["change_points"])
            y = printed["ablation"].map(_places(names))
            ax.plot(printed["change_points"], y, markersize=4.5, **theme.PUBLISHED)
            _furnish(ax, names)
            ax.axvline(0, color="#b0b0b0", linewidth=0.8, zorder=0)
            ax.set_title(f"{theme.model_label(model)}\n{theme.dataset_label(dataset)} prompts", fontsize=8.5)
            if row == len(models) - 1:
                ax.set_xlabel("points taken from steering", fontsize=8.5)
    axes[0, 0].invert_yaxis()
    handles = [
        *_method_handles(methods),
        Line2D([], [], label="published (Gemma 2 2B, Llama 3.2 3B)", markersize=4.5, **theme.PUBLISHED),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    return figure


def plot_scopes(ablations: pd.DataFrame) -> Figure:
    """Attack success by where the vector is added and what is frozen; a row a model and test set, a column a scope.

    Args:
        ablations: the table `ablations`.
    """
    in_every = set.intersection(*(set(rows["ablation"]) for _, rows in ablations.groupby("scope")))
    shown = ablations.loc[ablations["ablation"].isin(list(in_every))]
    scopes = theme.in_order(shown["scope"], SCOPE_LABELS)
    rows_of = [
        (m, d) for m in theme.models_in(shown) for d in theme.datasets_in(shown) if d not in theme.UNSEEN
    ]
    methods, names = theme.methods_in(shown), _ablations_in(shown)
    markers = theme.markers_of(theme.models_in(shown))
    figure = Figure(
        figsize=(theme.WIDTH, (0.25 * len(names) + 0.45) * len(rows_of) + 0.8), layout="constrained"
    )
    axes = figure.subplots(len(rows_of), len(scopes), squeeze=False, sharex=True, sharey=True)
    for row, (model, dataset) in enumerate(rows_of):
        for column, scope in enumerate(scopes):
            ax = axes[row, column]
            panel = shown.loc[
                (shown["model"] == model) & (shown["dataset"] == dataset) & (shown["scope"] == scope)
            ]
            for place, method in enumerate(methods):
                rows = panel.loc[panel["method"] == method]
                y = rows["ablation"].map(_places(names)) + _offset(place, len(methods))
                colour = theme.colour_of(method)
                ax.hlines(y, rows["asr_low"], rows["asr_high"], color=colour, linewidth=1.2)
                ax.plot(rows["asr"], y, color=colour, marker=markers[model], markersize=3.6, linestyle="none")
                ax.plot(
                    rows["degenerate_rate"], y, color=colour, marker="x", markersize=3.2, linestyle="none"
                )
            _furnish(ax, names)
            ax.set_xlim(-0.03, 1.03)
            ax.xaxis.set_major_formatter(PercentFormatter(1))
            if row == 0:
                ax.set_title(SCOPE_LABELS.get(scope, scope), fontsize=9)
            if row == len(rows_of) - 1:
                ax.set_xlabel("attack success rate", fontsize=8.5)
        label = f"{theme.model_label(model)}\n{theme.dataset_label(dataset)}"
        axes[row, -1].annotate(
            label, (1.03, 0.5), xycoords="axes fraction", rotation=-90, va="center", fontsize=8
        )
    axes[0, 0].invert_yaxis()
    handles = _method_handles(methods)
    handles.append(
        Line2D([], [], color=theme.FAINT, marker="x", markersize=4, linestyle="none", label="degenerate")
    )
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    return figure


def table_ablations(ablations: pd.DataFrame, published: pd.DataFrame) -> Markup:
    """Table 1: attack success of DIM under each ablation, each model of ours beside the published ones."""
    ours = ablations.loc[(ablations["method"] == "dim") & (ablations["scope"] == "all")]
    models = theme.models_in(ours)
    printed = theme.in_order(published["published_model"], theme.MODEL_LABELS)
    header = ["", *(f"{theme.model_label(model)}\nthis run" for model in models)]
    header += [f"{theme.model_label(name)}\npublished" for name in printed]
    rows, groups = [], []
    for dataset in theme.datasets_in(ours):
        for name in _ablations_in(ours):
            at = (ours["dataset"] == dataset) & (ours["ablation"] == name)
            here = ours.loc[at].set_index("model")
            beside = (published["dataset"] == dataset) & (published["ablation"] == name)
            there = published.loc[beside].set_index("published_model")
            rows.append(
                [
                    Cell(ablation_label(name)),
                    *(_change_cell(here, model) for model in models),
                    *(_printed_cell(there, model) for model in printed),
                ]
            )
            groups.append(f"{theme.dataset_label(dataset)} prompts, {theme.goal_of(ours, dataset)}")
    return html_table(header, rows, groups=groups, kind="numbers")


def table_ablation_means(means: pd.DataFrame, published: pd.DataFrame) -> Markup:
    """The paper's headline: points that each ablation takes, averaged over models and main test sets."""
    printed = published.set_index("ablation")["mean_change_points"]
    shown = means.loc[means["ablation"] != "none"]
    methods = theme.methods_in(shown)
    header = ["points taken from steering", *map(theme.method_label, methods), "DIM\npublished"]
    rows, groups = [], []
    for scope in theme.in_order(shown["scope"], SCOPE_LABELS):
        part = shown.loc[shown["scope"] == scope]
        for name in _ablations_in(part):
            here = part.loc[part["ablation"] == name].set_index("method")
            is_published = scope == "all" and name in printed.index
            rows.append(
                [
                    Cell(ablation_label(name)),
                    *(_mean_cell(here, method) for method in methods),
                    Cell(signed(printed[name]) if is_published else "", kind="published"),
                ]
            )
            groups.append(f"the vector {SCOPE_LABELS.get(scope, scope)}")
    return html_table(header, rows, groups=groups, kind="numbers")


def table_frozen_examples(examples: pd.DataFrame) -> Markup:
    """Figure 1: one prompt a model and test set, answered without steering, with it, and with half of attention frozen."""
    names = [name for name in EXAMPLE_LABELS if name in set(examples["ablation"])]
    header = ["prompt", *(EXAMPLE_LABELS[name] for name in names)]
    rows, groups = [], []
    for (model, _), texts in examples.groupby(["model", "dataset"], sort=False):
        by_name = texts.set_index("ablation")
        first = texts.iloc[0]
        cells = [
            Cell(str(by_name.loc[name, "text"]), note=str(by_name.loc[name, "verdict"])) for name in names
        ]
        rows.append([Cell(first["prompt"], note=theme.dataset_label(first["dataset"])), *cells])
        groups.append(theme.model_label(str(model)))
    return html_table(header, rows, groups=groups, kind="examples")


def ablation_label(name: str) -> str:
    """Name of an ablation as printed."""
    return ABLATION_LABELS.get(name, name)


def _mean_cell(rows: pd.DataFrame, method: str) -> Cell:
    if method not in rows.index:
        return Cell("")
    row = rows.loc[method]
    points, low, high, degenerate = (
        signed(round(row[name], 1))
        for name in ("change_points", "change_low", "change_high", "degenerate_points")
    )
    return Cell(
        f"{points} [{low},{NARROW}{high}]", note=f"degenerate {degenerate}", value=row["change_points"]
    )


def _change_cell(rows: pd.DataFrame, model: str) -> Cell:
    if model not in rows.index:
        return Cell("")
    row = rows.loc[model]
    text = rate(row["asr"], row["asr_low"], row["asr_high"])
    note = f"{percent(row['degenerate_rate'])} degenerate, n = {row['n']}"
    if row["ablation"] != "none":
        low, high = (signed(round(row[name], 1)) for name in ("change_low", "change_high"))
        p_value = "p < 0.001" if row["p_value"] < 0.001 else f"p = {row['p_value']:.2g}"
        note = f"{signed(round(row['change_points'], 1))} points [{low},{NARROW}{high}], {p_value}; {note}"
    return Cell(text, note=note, value=row["asr"])


def _printed_cell(rows: pd.DataFrame, model: str) -> Cell:
    if model not in rows.index:
        return Cell("", kind="published")
    row = rows.loc[model]
    note = "" if pd.isna(row["change_points"]) else f"{signed(row['change_points'])} points"
    return Cell(percent(row["asr"]), note=note, value=row["asr"], kind="published")


def _ablations_in(frame: pd.DataFrame) -> list[str]:
    return theme.in_order(frame["ablation"], ABLATION_LABELS)


def _places(names: list[str]) -> dict[str, int]:
    return {name: place for place, name in enumerate(names)}


def _offset(place: int, n: int) -> float:
    return 0.6 * (place - (n - 1) / 2) / n


def _furnish(ax: Axes, names: list[str]) -> None:
    ax.set_yticks(range(len(names)), [ablation_label(name) for name in names], fontsize=7.5)
    ax.tick_params(axis="x", labelsize=7.5)
    ax.grid(axis="x", color="#ececec", linewidth=0.7)


def _method_handles(methods: list[str]) -> list[Line2D]:
    return [
        Line2D([], [], color=theme.colour_of(m), marker="o", markersize=4, label=theme.method_label(m))
        for m in methods
    ]
