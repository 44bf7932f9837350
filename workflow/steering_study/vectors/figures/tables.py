"""Tables of contrast pairs, of the search and of its trials."""

from __future__ import annotations

import pandas as pd
from markupsafe import Markup

from steering_study.drawing import theme
from steering_study.drawing.html import Cell, html_table
from steering_study.drawing.words import percent


def table_pairs(pairs: pd.DataFrame) -> Markup:
    """Contrast pairs of each model: how many were kept, and why the others were dropped."""
    header = ["prompts", "desired response", "outcome", "training", "validation"]
    rows, groups = [], []
    for (model, label, origin, reason), part in pairs.groupby(
        ["model", "label", "origin", "reason"], sort=True
    ):
        n_validation = part.loc[part["split"] == "validation", "n"].sum()
        n_training = part["n"].sum() - n_validation
        rows.append(
            [
                Cell(str(label)),
                Cell(_ORIGINS[str(origin)]),
                Cell(f"dropped: {reason}" if reason else "kept"),
                Cell(str(n_training), value=float(n_training)),
                Cell(str(n_validation), value=float(n_validation)),
            ]
        )
        groups.append(theme.model_label(str(model)))
    return html_table(header, rows, groups=groups, kind="numbers")


def table_trials(trials: pd.DataFrame) -> Markup:
    """Every trial of the search of each learned method."""
    header = [
        "method",
        "learning rate",
        "batch",
        "seed",
        "φ",
        "validation loss\nnats",
        "match score",
        "norm",
        "β\nmedian",
        "",
    ]
    rows, groups = [], []
    for row in trials.to_dict("records"):
        rows.append(
            [
                Cell(theme.method_label(row["method"])),
                Cell(f"{row['learning_rate']:g}", value=row["learning_rate"]),
                Cell(str(row["batch_size"]), value=float(row["batch_size"])),
                Cell(str(row["seed"]), value=float(row["seed"])),
                _optional(row["phi"], "g"),
                Cell(f"{row['validation_loss']:.4g}", value=row["validation_loss"]),
                Cell(percent(row["match_score"]), value=row["match_score"]),
                Cell(f"{row['norm']:.3g}", value=row["norm"]),
                _optional(row["beta_q50"], ".3g"),
                Cell("selected" if row["selected"] else ""),
            ]
        )
        groups.append(theme.model_label(row["model"]))
    return html_table(header, rows, groups=groups, kind="numbers")


def table_grid(grid: pd.DataFrame, published: pd.DataFrame) -> Markup:
    """Table 4: values that the search tried, the selected one of each model, and the published values."""
    models = theme.models_in(grid)
    header = ["setting", "tried here", *(f"{theme.model_label(model)}\nselected" for model in models)]
    header += ["published"]
    rows, groups = [], []
    for method in theme.methods_in(pd.concat([grid[["method"]], published[["method"]]])):
        for setting, label in _SETTINGS.items():
            here, there = (
                frame.loc[(frame["method"] == method) & (frame["setting"] == setting)]
                for frame in (grid, published)
            )
            if here.empty and there.empty:
                continue
            chosen = here.loc[here["is_chosen"]]
            rows.append(
                [
                    Cell(label),
                    _values_cell(here["tried"]),
                    *(_values_cell(chosen.loc[chosen["model"] == model, "tried"]) for model in models),
                    _values_cell(there["tried"], kind="published"),
                ]
            )
            groups.append(theme.method_label(method))
    return html_table(header, rows, groups=groups, kind="numbers")


_SETTINGS = {
    "learning_rate": "learning rate",
    "batch_size": "batch",
    "epochs": "epochs",
    "seed": "seed",
    "phi": "φ",
}
_ORIGINS = {"asked": "asked for in the prompt", "steered": "brought about by DIM"}


def _values_cell(values: pd.Series, *, kind: str = "") -> Cell:
    """Distinct numbers in rising order."""
    distinct = sorted(set(values))
    return Cell(", ".join(f"{value:.8f}".rstrip("0").rstrip(".") for value in distinct) or "–", kind=kind)


def _optional(value: float, form: str) -> Cell:
    """A number that some methods do not have."""
    return Cell("–") if pd.isna(value) else Cell(f"{value:{form}}", value=value)
