"""Section "vectors": its tidy frames, the sentence it opens with, and the facts its captions name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from steering_study.figures import theme
from steering_study.figures.words import listing, percent, signed, span
from steering_study.report.sections import MADE_WITHOUT_TRAINING

SEARCHED = ("learning_rate", "batch_size", "epochs", "seed", "phi")  # settings of a trial


def vectors_frames(
    tables: Mapping[str, pd.DataFrame],
    *,
    cards: Mapping[str, Mapping[str, Any]],
    published: Mapping[str, pd.DataFrame],
) -> dict[str, pd.DataFrame]:
    """Every frame of the section."""
    candidates = tables["candidates"]
    return {
        "layers": tables["layers"],
        "side_effects": tables["side_effects"],
        "bystanders": tables["bystanders"],
        "selected_layer": candidates.loc[candidates["selected"], ["model", "layer", "position"]],
        "cosine": tables["cosine"],
        "trials": tables["trials"],
        "training": tables["training"],
        "search_grid": search_grid(tables["trials"]),
        "published_grid": published["grid"],
        "pair_counts": count_pairs(tables["pairs"]),
    }


def count_pairs(pairs: pd.DataFrame) -> pd.DataFrame:
    """How many contrast pairs each model kept, and why it dropped the others."""
    keys = ["model", "label", "split", "origin", "reason"]
    return pairs.groupby(keys, sort=False).size().rename("n").reset_index()


def search_grid(trials: pd.DataFrame) -> pd.DataFrame:
    """Every value that the search tried of each setting, and which of them the selected trial has."""
    long = trials.melt(
        id_vars=["model", "method", "selected"], value_vars=SEARCHED, var_name="setting", value_name="tried"
    ).dropna(subset="tried")
    keys = ["model", "method", "setting", "tried"]
    chosen = long.groupby(keys, sort=False)["selected"].any().rename("is_chosen").reset_index()
    return chosen.astype({"tried": float, "is_chosen": bool})


def vectors_leads(frames: Mapping[str, pd.DataFrame]) -> list[str]:
    """Which methods agree in direction, and where in depth they work, in one sentence a model."""
    return [_lead(frames, model) for model in theme.models_in(frames["cosine"])]


def vectors_facts(frames: Mapping[str, pd.DataFrame]) -> dict[str, str]:
    """Words that captions of the section name in braces."""
    pairs, trials, layers = frames["pair_counts"], frames["trials"], frames["layers"]
    kept = pairs[pairs["reason"] == ""]
    counts = [
        f"{theme.model_label(str(model))} {rows.loc[rows['reason'] == '', 'n'].sum()} of {rows['n'].sum()}"
        for model, rows in pairs.groupby("model", sort=False)
    ]
    return {
        "n_pairs": listing(counts),
        "n_train_pairs": span(kept[kept["split"] != "validation"].groupby("model")["n"].sum()),
        "n_trials": listing(
            f"{n} of {theme.method_label(str(method))}"
            for method, n in trials.groupby("method", sort=False)["trial"].nunique().items()
        )
        or "none",
        "n_validation": span(layers["n"]),
        "n_bystanders": span(frames["side_effects"]["n_bystanders"]),
    }


def _lead(frames: Mapping[str, pd.DataFrame], model: str) -> str:
    cosine = frames["cosine"]
    with_dim = cosine[(cosine["model"] == model) & (cosine["method_a"] == "dim")].set_index("method_b")[
        "cosine"
    ]
    learned = [method for method in with_dim.index if method not in MADE_WITHOUT_TRAINING]
    parts = [f"{theme.method_label(method)} {signed(round(with_dim[method], 2))}" for method in learned]
    layers = frames["layers"]
    dim = layers[(layers["model"] == model) & (layers["method"] == "dim")]
    mean = dim.groupby("layer")["flip_rate"].mean()
    agree = f"Cosine with DIM in {theme.model_label(model)}: {listing(parts)}. " if parts else ""
    return (
        f"{agree}DIM flips most prompts of {theme.model_label(model)} at layer {mean.idxmax()} "
        f"({percent(mean.max())} of the validation prompts, mean of both directions)."
    )
