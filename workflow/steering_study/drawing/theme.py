"""Colours, marks, names and order of methods, models and datasets: one look in the whole report."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from zlib import crc32

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

# Lightness rises down the list, so that the methods stay apart without colour.
METHOD_COLOURS = {
    "dim": "#1d3a6e",
    "po": "#8c2f86",
    "ntp": "#c9561f",
    "none": "#8f8f8f",
    "random": "#58b5a5",
    "shuffled": "#e2c255",
}
SPARE_COLOURS = ("#2e7d32", "#5d4037", "#00838f", "#9e9d24")  # of methods that a user adds
METHOD_LABELS = {
    "none": "no steering",
    "dim": "DIM",
    "ntp": "NTP",
    "po": "PO",
    "random": "random direction",
    "shuffled": "shuffled DIM",
}
# Stages of the workflow, by file of rules; figures print the number of a part beside its colour, for print without it.
PART_COLOURS = {
    "prompts": "#f4efe1",
    "models": "#b9b6ab",
    "texts": "#c5dbb2",
    "judges": "#c46a4f",
    "vectors": "#1d3a6e",
    "steering": "#a9c7e8",
    "circuits": "#8c2f86",
    "attention": "#f0c27a",
    "sparsity": "#2f7f73",
    "claims": "#f6cfd0",
    "export": "#b08fc7",
    "report": "#5c5c5c",
}
MODEL_LABELS = {"gemma-2-2b-it": "Gemma 2 2B", "llama-3.2-3b-instruct": "Llama 3.2 3B"}
MODEL_MARKERS = {"pocket-llama": "o", "pocket-gemma": "s", "llama-3.2-3b-instruct": "^", "gemma-2-2b-it": "v"}
SPARE_MARKERS = ("P", "X", "p", "h", "<", ">", "8", "*")
DATASET_LABELS = {
    "harmless": "harmless",
    "borderline_safe": "borderline harmless",
    "harmful": "harmful",
    "borderline_harmful": "borderline harmful",
    "ood": "unseen harmful",
    "alpaca": "Alpaca",
    "jailbreakbench": "JailbreakBench",
    "strongreject": "StrongREJECT",
}
UNSEEN = ("ood", "strongreject")  # test sets of a kind that no prompt behind the vectors is of
CONDITION_LABELS = {
    "induce": "harmless prompts become refused",
    "bypass": "harmful prompts become answered",
}

PUBLISHED: dict[str, Any] = {
    "marker": "D",
    "markerfacecolor": "none",
    "markeredgecolor": "black",
    "linestyle": "none",
}
SELECTED = "#c1121f"  # what a rule of the study has chosen
INK = "#1a1a1a"
FAINT = "#6b6b6b"

WIDTH = 7.2  # inches, of every figure


def use_theme() -> None:
    """Set fonts, spines and the switches that make saved files repeatable, for this process."""
    sns.set_theme(
        style="ticks",
        context="paper",
        rc={
            "font.family": "DejaVu Sans",  # comes with matplotlib, so every machine draws the same
            "font.size": 9,
            "axes.titlesize": 9.5,
            "axes.titleweight": "bold",
            "axes.titlelocation": "left",
            "axes.labelsize": 9,
            "xtick.labelsize": 8.5,
            "ytick.labelsize": 8.5,
            "legend.fontsize": 8.5,
            "legend.frameon": False,
            "text.color": INK,
            "axes.labelcolor": INK,
            "axes.edgecolor": INK,
            "xtick.color": INK,
            "ytick.color": INK,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.linewidth": 0.8,
            "hatch.linewidth": 0.6,
            "figure.dpi": 110,
            "savefig.dpi": 200,
            "svg.hashsalt": "steering-study",
            "svg.fonttype": "path",
        },
    )


def figure_of_words(words: str) -> Figure:
    """What stands where there is nothing to draw."""
    figure = Figure(figsize=(WIDTH, 0.6))
    figure.text(0.5, 0.5, words, ha="center", va="center", fontsize=9)
    return figure


def colour_of(method: str) -> str:
    """Colour of a method: its own, or a spare one that its name decides."""
    spare = SPARE_COLOURS[crc32(method.encode()) % len(SPARE_COLOURS)]
    return METHOD_COLOURS.get(method, spare)


def part_colour(part: str) -> str:
    """Colour of a part of the workflow; white for one that a user adds."""
    return PART_COLOURS.get(part, "#ffffff")


def part_number(part: str) -> str:
    """Number of a part of the workflow; a plus for one that a user adds."""
    return str(list(PART_COLOURS).index(part) + 1) if part in PART_COLOURS else "+"


def part_label(part: str) -> str:
    """Name of a part of the workflow with its number."""
    return f"{part_number(part)} {part}"


def markers_of(models: Sequence[str]) -> dict[str, str]:
    """Marker of each model: its own, or the next spare one in the order given."""
    spare = iter(SPARE_MARKERS * (1 + len(models) // len(SPARE_MARKERS)))
    return {model: MODEL_MARKERS.get(model) or next(spare) for model in models}


def in_order(values: Iterable[str], known: Iterable[str]) -> list[str]:
    """Distinct values, the known ones first and in their order, the others as they come."""
    distinct = list(dict.fromkeys(values))
    order = {value: place for place, value in enumerate(known)}
    return sorted(distinct, key=lambda value: order.get(value, len(order)))


def methods_in(frame: pd.DataFrame) -> list[str]:
    """Methods of a frame in the report's order."""
    return in_order(frame["method"], METHOD_LABELS)


def models_in(frame: pd.DataFrame) -> list[str]:
    """Models of a frame, in the order of its rows."""
    return in_order(frame["model"], ())


def datasets_in(frame: pd.DataFrame) -> list[str]:
    """Datasets of a frame in the report's order."""
    return in_order(frame["dataset"], DATASET_LABELS)


def method_label(method: str) -> str:
    """Name of a method as printed."""
    return METHOD_LABELS.get(method, method)


def model_label(model: str) -> str:
    """Name of a model as printed."""
    return MODEL_LABELS.get(model, model)


def dataset_label(dataset: str) -> str:
    """Name of a dataset as printed."""
    return DATASET_LABELS.get(dataset, dataset)


def condition_of(table: pd.DataFrame, dataset: str) -> str:
    """The condition that a table's prompts of a dataset are steered in.

    Raises:
        ValueError: if there is none, or several.
    """
    found = set(table.loc[table["dataset"] == dataset, "condition"]) - {"base"}
    if len(found) != 1:
        raise ValueError(f"{dataset} prompts are steered in {sorted(found) or 'no condition'}, expected one")
    return found.pop()


def goal_of(table: pd.DataFrame, dataset: str) -> str:
    """Which way steering should move the attack success rate of a table's prompts of a dataset."""
    return "goal: lower" if condition_of(table, dataset) == "induce" else "goal: higher"
