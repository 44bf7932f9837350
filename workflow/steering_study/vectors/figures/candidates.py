"""Heat map of the DIM candidates: how well each steers, which fell, which was selected (docs/vectors.md)."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from steering_study.drawing import theme

COLOUR_MAP = "cividis"  # dark is low, and low is better
NORM = Normalize(-1, 1)
NO_SCORE = "#d9d9d9"
MOST_LABELLED = 14  # layers, beyond which a cell is too narrow for its number


def plot_candidates(candidates: pd.DataFrame, *, title: str | None = None) -> Figure:
    """Layer x post-instruction position, coloured by sigmoid(bypass) - sigmoid(induce); a panel a model.

    Args:
        candidates: model, layer, position, token, score, fell, kept and selected; `fell` holds the letters of
            the filters that a candidate did not pass: L layer, I induce, K kl, ? a score that is not finite; – kl was not needed.
    """
    models = theme.models_in(candidates)
    panels = [candidates.loc[candidates["model"] == model] for model in models]
    heights = [0.8 + 0.3 * len(panel["position"].unique()) for panel in panels]
    figure = Figure(figsize=(theme.WIDTH, sum(heights) + 0.75), layout="constrained")
    axes = figure.subplots(len(models), 1, squeeze=False, height_ratios=heights)[:, 0]
    for ax, model, panel in zip(axes, models, panels, strict=True):
        _draw_panel(ax, panel)
        ax.set_title(theme.model_label(model))
    axes[-1].set_xlabel("layer (resid_pre of the block)")
    bar = figure.colorbar(
        ScalarMappable(NORM, COLOUR_MAP), ax=list(axes), aspect=12 * len(models), pad=0.015, ticks=[-1, 0, 1]
    )
    bar.set_label("σ(bypass) − σ(induce)\nlower is better")
    figure.legend(handles=_key(candidates), loc="outside lower center", ncols=3, handlelength=1.4)
    if title:
        figure.suptitle(title)
    return figure


def _draw_panel(ax: Axes, panel: pd.DataFrame) -> None:
    layers = sorted(panel["layer"].unique())
    positions = sorted(panel["position"].unique(), reverse=True)
    grid = panel.pivot(index="position", columns="layer", values="score").loc[positions, layers]
    ax.imshow(np.ma.masked_invalid(grid.to_numpy(float)), cmap=COLOUR_MAP, norm=NORM, aspect="auto")
    ax.set_facecolor(NO_SCORE)
    for row in panel.to_dict("records"):
        column, line = layers.index(row["layer"]), positions.index(row["position"])
        if not row["kept"]:
            ax.add_patch(_cell(column, line, facecolor="white", alpha=0.72, linewidth=0))
            ax.add_patch(
                _cell(column, line, facecolor="none", hatch="////", edgecolor="#bdbdbd", linewidth=0)
            )
        if len(layers) <= MOST_LABELLED:
            _write(ax, column, line, row)
        if row["selected"]:
            inner = 0.06
            ax.add_patch(
                _cell(column, line, inner=inner, facecolor="none", edgecolor=theme.SELECTED, linewidth=2.2)
            )
    step = 1 if len(layers) <= 2 * MOST_LABELLED else 5
    ax.set_xticks(range(0, len(layers), step), [str(layer) for layer in layers[::step]])
    tokens = panel.drop_duplicates("position").set_index("position")["token"]
    ax.set_yticks(range(len(positions)), [f"{tokens[p]}  −{-p}" for p in positions], parse_math=False)
    ax.set_ylabel("position (token)")
    ax.set_xticks(np.arange(len(layers) + 1) - 0.5, minor=True)
    ax.set_yticks(np.arange(len(positions) + 1) - 0.5, minor=True)
    ax.grid(which="minor", color="white", linewidth=1)
    ax.tick_params(which="both", length=0)
    for spine in ax.spines.values():
        spine.set_visible(False)


def _write(ax: Axes, column: int, line: int, row: dict) -> None:
    score = row["score"]
    number = "no score" if not np.isfinite(score) else f"{score:.2f}".replace("-", "−")
    text = f"{number}  {row['fell']}" if row["fell"] else number
    colour = "white" if row["kept"] and score < 0 else theme.INK
    ax.text(column, line, text, ha="center", va="center", fontsize=7, color=colour)


def _cell(column: int, line: int, *, inner: float = 0.0, **look: object) -> Rectangle:
    return Rectangle((column - 0.5 + inner, line - 0.5 + inner), 1 - 2 * inner, 1 - 2 * inner, **look)  # pyright: ignore[reportArgumentType]


def _key(candidates: pd.DataFrame) -> list[Patch]:
    letters = ": L too late a layer, I induces too little,\nK too high a KL"
    if candidates["fell"].str.contains("?", regex=False).any():
        letters += ", ? a score that is not finite"
    if candidates["fell"].str.contains("–", regex=False).any():
        letters += ",\n– behind one that passes, so its KL was not needed"
    labelled = all(len(set(layers)) <= MOST_LABELLED for _, layers in candidates.groupby("model")["layer"])
    missing = (
        [Patch(facecolor=NO_SCORE, label="no score")] if candidates["score"].isna().to_numpy().any() else []
    )
    return [
        Patch(facecolor="none", edgecolor=theme.SELECTED, linewidth=2, label="selected"),
        *missing,
        Patch(
            facecolor="white",
            edgecolor="#bdbdbd",
            hatch="////",
            label=f"fell at a filter{letters if labelled else ''}",
        ),
    ]
