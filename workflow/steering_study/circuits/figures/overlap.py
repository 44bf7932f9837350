"""Overlap of circuits: every pair of methods at every pair of sizes, and faithfulness under exchange."""

from __future__ import annotations

from itertools import combinations

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from steering_study.drawing import theme


def plot_overlap(overlap: pd.DataFrame) -> Figure:
    """Overlap in percent over pairs of sizes; a row a model, a panel a pair of methods.

    Args:
        overlap: the table `overlap`.
    """
    models = theme.models_in(overlap)
    methods = theme.in_order(overlap["method_a"], theme.METHOD_LABELS)
    pairs = list(combinations(methods, 2))
    if not pairs:
        return theme.figure_of_words("one method: no circuits to compare")
    figure = Figure(figsize=(theme.WIDTH, 2.6 * len(models)), layout="constrained")
    axes = figure.subplots(len(models), len(pairs), squeeze=False)
    for row, model in enumerate(models):
        for column, (a, b) in enumerate(pairs):
            rows = overlap.loc[
                (overlap["model"] == model) & (overlap["method_a"] == a) & (overlap["method_b"] == b)
            ]
            grid = 100 * rows.pivot_table(index="n_edges_a", columns="n_edges_b", values="overlap")
            ax = axes[row, column]
            sns.heatmap(
                grid,
                ax=ax,
                vmin=0,
                vmax=100,
                cmap="cividis",
                annot=len(grid) <= 15,
                fmt=".0f",
                annot_kws={"size": 5},
                cbar=False,
                linewidths=0.3,
            )
            ax.invert_yaxis()
            ax.set_title(f"{theme.model_label(model)}", fontsize=8.5)
            ax.set_ylabel(f"edges of the {theme.method_label(a)} circuit", fontsize=7.5)
            ax.set_xlabel(f"edges of the {theme.method_label(b)} circuit", fontsize=7.5)
            ax.tick_params(length=0, labelsize=6)
            ax.tick_params(axis="x", rotation=90)
            ax.tick_params(axis="y", rotation=0)
    return figure


def plot_exchange(faithfulness: pd.DataFrame) -> Figure:
    """Faithfulness of each method's circuit under each method's vector, mean of the test sets; a panel a model.

    Args:
        faithfulness: the table `faithfulness`.
    """
    shown = faithfulness.loc[faithfulness["minimum"] | (faithfulness["kind"] == "interchanged")]
    models, methods = theme.models_in(shown), theme.in_order(shown["vector_method"], theme.METHOD_LABELS)
    figure = Figure(figsize=(theme.WIDTH, 0.6 * len(methods) + 1.1), layout="constrained")
    axes = figure.subplots(1, len(models), squeeze=False, sharey=True)[0]
    labels = [theme.method_label(method) for method in methods]
    for ax, model in zip(axes, models, strict=True):
        rows = shown.loc[shown["model"] == model]
        grid = rows.pivot_table(index="vector_method", columns="circuit_method", values="faithfulness")
        sns.heatmap(
            grid.reindex(index=methods, columns=methods),
            ax=ax,
            vmin=0,
            vmax=1.2,
            cmap="cividis",
            annot=True,
            fmt=".2f",
            cbar=False,
            linewidths=1,
            xticklabels=labels,
            yticklabels=labels,
        )
        ax.set_title(theme.model_label(model))
        ax.set(xlabel="circuit found with", ylabel="vector and responses of" if ax is axes[0] else "")
        ax.tick_params(length=0, rotation=0)
    return figure
