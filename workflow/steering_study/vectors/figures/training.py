"""Validation loss of every trial of the learned methods, epoch by epoch."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from steering_study.drawing import theme


def plot_training(training: pd.DataFrame, trials: pd.DataFrame) -> Figure:
    """Validation loss against the epoch; a panel a model and method, the selected trial drawn in its colour.

    Args:
        training: the table `training`, of one or several models and methods; it may have no rows.
        trials: the table `trials` of the same.
    """
    models, methods = theme.models_in(training), theme.methods_in(training)
    if not methods:
        return _nothing()
    figure = Figure(figsize=(theme.WIDTH, 2.0 * len(models) + 0.7), layout="constrained")
    axes = figure.subplots(len(models), len(methods), squeeze=False, sharex=True, sharey="col")
    for row, model in enumerate(models):
        for column, method in enumerate(methods):
            ax = axes[row, column]
            curves, tried = (
                frame.loc[(frame["model"] == model) & (frame["method"] == method)]
                for frame in (training, trials)
            )
            selected = set(tried.loc[tried["selected"], "trial"])
            for trial, curve in curves.groupby("trial"):
                is_selected = trial in selected
                colour = theme.colour_of(method) if is_selected else "#b8b8b8"
                width, order = (2.0, 3) if is_selected else (1.0, 2)
                ax.plot(curve["epoch"], curve["validation_loss"], color=colour, linewidth=width, zorder=order)
            ax.set_title(f"{theme.model_label(model)}, {theme.method_label(method)}, {len(tried)} trials")
            ax.xaxis.set_major_locator(MaxNLocator(integer=True))
            ax.set_yscale("log")
            ax.grid(axis="y", color="#e5e5e5", linewidth=0.7)
            if row == len(models) - 1:
                ax.set_xlabel("epoch")
        axes[row, 0].set_ylabel("validation loss (nats)")
    key = [
        Line2D([], [], color=theme.INK, linewidth=2, label="selected trial, in the method's colour"),
        Line2D([], [], color="#b8b8b8", linewidth=1, label="other trials"),
    ]
    figure.legend(handles=key, loc="outside lower center", ncols=2)
    return figure


def _nothing() -> Figure:
    figure = Figure(figsize=(theme.WIDTH, 0.8), layout="constrained")
    figure.text(0.5, 0.5, "This study has no learned method.", ha="center", va="center")
    return figure
