"""Wall time of each rule."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from steering_study.drawing import theme
from steering_study.drawing.words import duration


def plot_rule_times(times: pd.DataFrame) -> Figure:
    """Seconds of all jobs of each rule, a bar a rule, the longest on top; rules that were not measured are left out.

    Args:
        times: columns rule, part, jobs, measured, total_seconds, longest_seconds.
    """
    shown = times.loc[times["measured"] > 0].sort_values("total_seconds", ascending=False)
    parts = theme.in_order(shown["part"], theme.PART_COLOURS)
    figure = Figure(figsize=(theme.WIDTH, 0.17 * len(shown) + 1.1), layout="constrained")
    ax = figure.subplots()
    lines = range(len(shown))
    colours = [theme.part_colour(part) for part in shown["part"]]
    ax.barh(lines, shown["total_seconds"], color=colours, edgecolor=theme.INK, linewidth=0.5, height=0.72)
    for line, row in zip(lines, shown.to_dict("records"), strict=True):
        jobs = f"{row['measured']} job{'' if row['measured'] == 1 else 's'}"
        text = f" {duration(row['total_seconds'])} ({jobs})"
        ax.text(row["total_seconds"], line, text, va="center", ha="left", fontsize=6.8)
    names = [f"{row['rule']}  {theme.part_number(row['part'])}" for row in shown.to_dict("records")]
    ax.set_yticks(lines, names, fontsize=7)
    ax.set_ylim(len(shown) - 0.4, -0.6)
    ax.set_xlim(0, 1.18 * max(shown["total_seconds"], default=1.0))
    ax.tick_params(axis="y", length=0)
    ax.set_xlabel("wall time of all jobs of a rule (s)")
    key = [
        Patch(
            facecolor=theme.part_colour(part),
            edgecolor=theme.INK,
            linewidth=0.5,
            label=theme.part_label(part),
        )
        for part in parts
    ]
    if key:
        ax.legend(handles=key, loc="lower right", title="part")
    return figure
