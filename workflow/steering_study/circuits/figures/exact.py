"""What scores are worth: against exact interchange, and against text under the circuit."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from steering_study.drawing import theme

KINDS = {
    "attn_q": ("queries", "o", "#7fa8d1"),
    "attn_k": ("keys", "s", "#8fbf7f"),
    "attn_v": ("values", "^", "#2f6b3c"),
    "mlp": ("MLPs", "D", "#d9a441"),
    "lm_head": ("the LM head", "v", "#6b6b6b"),
}
LINEAR_BELOW = 1e-2  # logits
TICKS = (-1.0, -0.1, 0.0, 0.1, 1.0)
CARRIERS = {
    "none": "nothing steered",
    "complement": "all but the circuit",
    "circuit": "the circuit alone",
    "all": "everything steered",
}


def plot_interchange(interchange: pd.DataFrame) -> Figure:
    """Exact effect of single edges against their score; a row a model, a panel a method.

    Args:
        interchange: the table `interchange`.
    """
    edges = interchange.loc[interchange["src"] != "all"]
    models, methods = theme.models_in(edges), theme.methods_in(edges)
    figure = Figure(figsize=(theme.WIDTH, 2.3 * len(models) + 0.5), layout="constrained")
    axes = figure.subplots(len(models), len(methods), squeeze=False)
    for row, model in enumerate(models):
        for column, method in enumerate(methods):
            ax = axes[row, column]
            panel = edges.loc[(edges["model"] == model) & (edges["method"] == method)]
            for kind, (_, marker, colour) in KINDS.items():
                of_kind = panel.loc[panel["dst_kind"] == kind]
                x, y = of_kind["score"], of_kind["effect"]
                ax.plot(x, y, marker, color=colour, markersize=2.8, alpha=0.7, markeredgewidth=0)
            ax.axline((0, 0), slope=1, color="#bbbbbb", linewidth=0.8, zorder=0)
            ax.set_xscale("symlog", linthresh=LINEAR_BELOW)
            ax.set_yscale("symlog", linthresh=LINEAR_BELOW)
            for axis in (ax.xaxis, ax.yaxis):
                axis.set_ticks(
                    TICKS, [f"{tick:g}".replace("-", "\N{MINUS SIGN}") for tick in TICKS], minor=False
                )
            ax.set_title(f"{theme.model_label(model)}, {theme.method_label(method)}", fontsize=8.5)
            ax.tick_params(labelsize=6)
            if row == len(models) - 1:
                ax.set_xlabel("score (logits a position)", fontsize=8)
        axes[row, 0].set_ylabel("exact effect", fontsize=8)
    handles = [
        Line2D([], [], marker=marker, color=colour, linestyle="none", markersize=4, label=f"into {words}")
        for words, marker, colour in KINDS.values()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=5)
    return figure


def plot_circuit_text(circuit_asr: pd.DataFrame) -> Figure:
    """Attack success by what carries steering; a panel a model and test set.

    Args:
        circuit_asr: the table `circuit_asr`.
    """
    models, datasets = theme.models_in(circuit_asr), theme.datasets_in(circuit_asr)
    methods, markers = theme.methods_in(circuit_asr), theme.markers_of(models)
    figure = Figure(figsize=(theme.WIDTH, 1.7 * len(models) + 0.6), layout="constrained")
    axes = figure.subplots(len(models), len(datasets), squeeze=False, sharex=True, sharey=True)
    carriers = list(CARRIERS)
    for row, model in enumerate(models):
        for column, dataset in enumerate(datasets):
            ax = axes[row, column]
            panel = circuit_asr.loc[(circuit_asr["model"] == model) & (circuit_asr["dataset"] == dataset)]
            for place, method in enumerate(methods):
                rows = panel.loc[panel["method"] == method]
                shift = 0.6 * (place - (len(methods) - 1) / 2) / len(methods)
                y = rows["carrier"].map({name: i for i, name in enumerate(carriers)}) + shift
                colour = theme.colour_of(method)
                ax.hlines(y, rows["asr_low"], rows["asr_high"], color=colour, linewidth=1.4)
                ax.plot(rows["asr"], y, color=colour, marker=markers[model], markersize=4, linestyle="none")
                ax.plot(
                    rows["degenerate_rate"], y, color=colour, marker="x", markersize=3.5, linestyle="none"
                )
            ax.set_title(f"{theme.model_label(model)}, {theme.dataset_label(dataset)} prompts")
            ax.set_yticks(range(len(carriers)), list(CARRIERS.values()))
            ax.set_xlim(-0.03, 1.03)
            ax.xaxis.set_major_formatter(PercentFormatter(1))
            ax.grid(axis="x", color="#e5e5e5", linewidth=0.7)
            if row == len(models) - 1:
                ax.set_xlabel("attack success rate")
    axes[0, 0].invert_yaxis()
    handles = [
        Line2D([], [], color=theme.colour_of(m), marker="o", markersize=4, label=theme.method_label(m))
        for m in methods
    ]
    handles.append(
        Line2D([], [], color=theme.FAINT, marker="x", markersize=4, linestyle="none", label="degenerate")
    )
    figure.legend(handles=handles, loc="outside lower center", ncols=4)
    return figure
