"""Cosines between the vectors of a model."""

from __future__ import annotations

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from steering_study.drawing import theme


def plot_cosine(cosine: pd.DataFrame) -> Figure:
    """Cosine of every pair of methods, a panel a model.

    Args:
        cosine: the table `cosine` with a column `model`.
    """
    models = theme.models_in(cosine)
    methods = theme.in_order(cosine["method_a"], theme.METHOD_LABELS)
    labels = [theme.method_label(method) for method in methods]
    figure = Figure(figsize=(theme.WIDTH, 0.42 * len(methods) + 1.6), layout="constrained")
    axes = figure.subplots(1, len(models), squeeze=False, sharey=True)[0]
    for ax, model in zip(axes, models, strict=True):
        square = cosine.loc[cosine["model"] == model].pivot(
            index="method_a", columns="method_b", values="cosine"
        )
        sns.heatmap(
            square.loc[methods, methods],
            ax=ax,
            vmin=-1,
            vmax=1,
            cmap="RdBu_r",
            annot=True,
            fmt=".2f",
            annot_kws={"size": 8},
            linewidths=1,
            cbar=False,
            xticklabels=labels,
            yticklabels=labels,
        )
        ax.set_title(theme.model_label(model))
        ax.set(xlabel="", ylabel="")
        ax.tick_params(axis="x", rotation=35)
        ax.tick_params(axis="both", length=0)
    return figure
