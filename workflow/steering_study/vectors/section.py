"""Section "vectors": its tidy frames, the sentence it opens with, and the facts its captions name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from scipy.special import expit

from steering_study.drawing import theme
from steering_study.drawing.words import listing, signed, span, visible
from steering_study.vectors.options import MADE_WITHOUT_TRAINING
from steering_study.vectors.schemas import COSINE, TRAINING, TRIALS

FILTER_LETTERS = {"layer >=": "L", "induce <=": "I", "kl >=": "K", "is not finite": "?", "not needed": "–"}
SEARCHED = ("learning_rate", "batch_size", "epochs", "seed", "phi")  # settings of a trial
FRAMES = {
    "candidates": {
        "model": "string",
        "layer": "int64",
        "position": "int64",
        "token": "string",  # of the chat template, at that position
        "bypass": "float64",
        "induce": "float64",
        "kl": "float64",
        "score": "float64",  # sigmoid(bypass) - sigmoid(induce)
        "fell": "string",  # letters of the filters not passed: L layer, I induce, K kl, ? not finite
        "kept": "bool",
        "reason": "string",
        "selected": "bool",
    },
    "cosine": {"model": "string", **COSINE.kinds},
    "training": {"model": "string", **TRAINING.kinds},
    "trials": {"model": "string", **TRIALS.kinds},
    "search_grid": {
        "model": "string",
        "method": "string",
        "setting": "string",  # a column of trials
        "tried": "float64",  # one value of it
        "is_chosen": "bool",  # by the selected trial
    },
    "published_grid": {"method": "string", "setting": "string", "tried": "float64"},
    "pair_counts": {
        "model": "string",
        "label": "string",
        "split": "string",
        "origin": "string",
        "reason": "string",  # empty for those that were kept
        "n": "int64",
    },
}  # its tidy frames: the type of each column, in Arrow's words


def vectors_frames(
    tables: Mapping[str, pd.DataFrame],
    *,
    cards: Mapping[str, Mapping[str, Any]],
    published: Mapping[str, pd.DataFrame],
) -> dict[str, pd.DataFrame]:
    """Every frame of the section."""
    return {
        "candidates": candidate_map(tables["candidates"], cards),
        "cosine": tables["cosine"],
        "trials": tables["trials"],
        "training": tables["training"],
        "search_grid": search_grid(tables["trials"]),
        "published_grid": published["grid"],
        "pair_counts": count_pairs(tables["pairs"]),
    }


def candidate_map(candidates: pd.DataFrame, cards: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Candidates with the selection score, the token at their position and letters for why they fell."""
    score = expit(candidates["bypass"]) - expit(candidates["induce"])
    tokens = [
        visible(cards[model]["post_instruction_tokens"][position])
        for model, position in zip(candidates["model"], candidates["position"], strict=True)
    ]
    fell = [
        " ".join(letter for words, letter in FILTER_LETTERS.items() if words in reason)
        for reason in candidates["reason"]
    ]
    return candidates.assign(score=score, token=tokens, fell=fell).drop(columns="ablation")


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
    """How far the learned methods agree with DIM in direction, in one sentence a model."""
    return [lead for model in theme.models_in(frames["cosine"]) if (lead := _lead(frames, model))]


def vectors_facts(frames: Mapping[str, pd.DataFrame]) -> dict[str, str]:
    """Words that captions of the section name in braces."""
    pairs, trials, candidates = frames["pair_counts"], frames["trials"], frames["candidates"]
    kept = pairs[pairs["reason"] == ""]
    trained = kept[kept["split"] != "validation"].groupby("model")["n"].sum()
    counts = [
        f"{theme.model_label(str(model))} {rows.loc[rows['reason'] == '', 'n'].sum()} of {rows['n'].sum()}"
        for model, rows in pairs.groupby("model", sort=False)
    ]
    return {
        "n_pairs": listing(counts) or "none, as no vector is learned",
        "n_train_pairs": span(trained) if len(trained) else "no",
        "n_trials": listing(
            f"{n} of {theme.method_label(str(method))}"
            for method, n in trials.groupby("method", sort=False)["trial"].nunique().items()
        )
        or "none",
        "n_candidates": listing(
            f"{n} of {theme.model_label(str(m))}"
            for m, n in candidates.groupby("model", sort=False).size().items()
        ),
        "selected": "; ".join(
            _selected(row) for row in candidates.loc[candidates["selected"]].to_dict("records")
        ),
    }


def _lead(frames: Mapping[str, pd.DataFrame], model: str) -> str:
    cosine = frames["cosine"]
    with_dim = cosine[(cosine["model"] == model) & (cosine["method_a"] == "dim")].set_index("method_b")[
        "cosine"
    ]
    learned = [method for method in with_dim.index if method not in MADE_WITHOUT_TRAINING]
    parts = [f"{theme.method_label(method)} {signed(round(with_dim[method], 2))}" for method in learned]
    return f"Cosine with DIM in {theme.model_label(model)}: {listing(parts)}." if parts else ""


def _selected(row: Mapping[str, Any]) -> str:
    why = f" ({row['reason']})" if row["reason"] else ""
    return f"{theme.model_label(row['model'])} layer {row['layer']}, position {signed(float(row['position']))}{why}"
