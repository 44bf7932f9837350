"""The section on steering: its tidy frames, and the sentences and facts that go with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from steering_study.drawing import theme
from steering_study.drawing.published import published_beside
from steering_study.drawing.words import listing, percent, rate, signed, span
from steering_study.judges.figures.table import origin_words
from steering_study.judges.figures.words import error_words
from steering_study.judges.panel import flips, is_target
from steering_study.judges.schemas import JUDGE_ERRORS
from steering_study.steering.agreement import pick_disagreements
from steering_study.steering.schemas import (
    ASR,
    BYSTANDERS,
    DOSE_RESPONSE,
    FLIPS,
    JUDGE_AGREEMENT,
    LAYERS,
    SIDE_EFFECTS,
)
from steering_study.texts.conditions import TARGET

LEAST_FINISHED = 0.1  # share of unsteered texts that end by themselves, below which the section says so
N_EXAMPLES = 1  # flipped ones a model and dataset, and as many that are not
FRAMES = {
    "asr": ASR.kinds,
    "published_asr": {
        "model": "string",  # of ours, beside which the value stands
        "published_model": "string",
        "dataset": "string",  # ours
        "published_dataset": "string",
        "method": "string",
        "asr": "float64",
    },
    "judge_errors": JUDGE_ERRORS.kinds,
    "judge_agreement": JUDGE_AGREEMENT.kinds,
    "disagreements": {
        "model": "string",
        "method": "string",
        "condition": "string",
        "dataset": "string",
        "coefficient": "float64",
        "prompt_id": "string",
        "prompt": "string",
        "text": "string",
        "judge": "string",
        "refused": "bool",
        "second_judge": "string",
        "second_refused": "bool",
        "second_score": "float64",
    },
    "examples": {
        "model": "string",
        "method": "string",
        "condition": "string",
        "dataset": "string",
        "coefficient": "float64",
        "prompt_id": "string",
        "prompt": "string",
        "base": "string",
        "base_verdict": "string",
        "steered": "string",
        "steered_verdict": "string",
        "flipped": "bool",
    },
    "endings": {
        "model": "string",
        "condition": "string",  # base, or that of DIM's steering
        "n": "int64",  # texts
        "finished": "int64",  # by the model's own end-of-turn token
        "cut": "int64",
        "mean_tokens": "float64",
        "most_tokens": "int64",
        "end_of_turn": "string",  # the tokens' ids
    },
    "dose_response": DOSE_RESPONSE.kinds,
    "layers": LAYERS.kinds,
    "selected_layer": {"model": "string", "layer": "int64", "position": "int64"},
    "flips": FLIPS.kinds,
    "side_effects": SIDE_EFFECTS.kinds,
    "bystanders": BYSTANDERS.kinds,
}  # its tidy frames: the type of each column, in Arrow's words


def steering_frames(
    tables: Mapping[str, pd.DataFrame],
    *,
    cards: Mapping[str, Mapping[str, Any]],
    published: Mapping[str, pd.DataFrame],
) -> dict[str, pd.DataFrame]:
    """Every frame of the section.

    Args:
        cards: model.json of each model.
        published: "asr" is Table 2 as printed.
    """
    steered = tables["steered_responses"].merge(tables["steered_verdicts"])
    steered = steered[is_target(steered)]
    base = tables["base_responses"].merge(tables["base_verdicts"])
    candidates = tables["candidates"]
    return {
        "layers": tables["layers"],
        "selected_layer": candidates.loc[candidates["selected"], ["model", "layer", "position"]],
        "side_effects": tables["side_effects"],
        "bystanders": tables["bystanders"],
        "dose_response": tables["dose_response"],
        "asr": tables["asr"],
        "judge_errors": tables["judge_errors"],
        "judge_agreement": tables["judge_agreement"],
        "disagreements": pick_disagreements(pd.concat([base[base["split"] == "test"], steered])).loc[
            :, list(FRAMES["disagreements"])
        ],
        "flips": tables["flips"],
        "published_asr": published_beside(tables["asr"], published["asr"], cards),
        "examples": pick_examples(base, steered),
        "endings": count_endings(tables["base_responses"], steered, cards),
    }


def pick_examples(base: pd.DataFrame, steered: pd.DataFrame) -> pd.DataFrame:
    """The first prompt by id that flipped, of each model and dataset, and the first that did not.

    Args:
        base: unsteered responses joined with their verdicts, of one or several models.
        steered: the same of the steered responses.
    """
    parts = []
    for model, rows in steered.groupby("model", sort=False):
        before = base.loc[base["model"] == model]
        rows = rows.assign(flipped=flips(before, rows)).sort_values("prompt_id", kind="stable")
        before = before.set_index("prompt_id").loc[:, ["text", "verdict"]]
        rows = rows.join(before.rename(columns={"text": "base", "verdict": "base_verdict"}), on="prompt_id")
        for dataset in theme.datasets_in(rows):
            of_set = rows.loc[rows["dataset"] == dataset]
            parts.append(of_set.loc[of_set["flipped"]].head(N_EXAMPLES))
            parts.append(of_set.loc[~of_set["flipped"]].head(N_EXAMPLES))
    picked = pd.concat(parts, ignore_index=True)
    names = {"text": "steered", "verdict": "steered_verdict"}
    return picked.rename(columns=names).loc[:, list(FRAMES["examples"])]


def count_endings(
    base: pd.DataFrame, steered: pd.DataFrame, cards: Mapping[str, Mapping[str, Any]]
) -> pd.DataFrame:
    """How each model's texts end, unsteered and under DIM: by themselves or cut.

    Args:
        base, steered: responses with model, condition, token_ids and finished.
    """
    columns = ["model", "condition", "token_ids", "finished"]
    texts = pd.concat([base[columns], steered[columns]], ignore_index=True)
    texts["n_tokens"] = texts["token_ids"].map(len)
    texts["model"] = pd.Categorical(texts["model"], theme.models_in(texts))  # a model's rows together
    rows = []
    texts["condition"] = pd.Categorical(texts["condition"], list(dict.fromkeys(texts["condition"])))
    for (model, condition), group in texts.groupby(["model", "condition"], observed=True):
        rows.append(
            {
                "model": str(model),
                "condition": str(condition),
                "n": len(group),
                "finished": int(group["finished"].sum()),
                "cut": int((~group["finished"]).sum()),
                "mean_tokens": float(group["n_tokens"].mean()),
                "most_tokens": int(group["n_tokens"].max()),
                "end_of_turn": ", ".join(map(str, cards[str(model)]["end_of_turn_ids"])),
            }
        )
    return pd.DataFrame(rows, columns=list(FRAMES["endings"]))


def steering_leads(frames: Mapping[str, pd.DataFrame]) -> list[str]:
    """What DIM does to each model, with intervals and what was published beside it, and at which layer; texts that do not end."""
    return [
        *(_lead(frames, model) for model in theme.models_in(frames["asr"])),
        *(_depth(frames["layers"], model) for model in theme.models_in(frames["asr"])),
        *(_unended(row) for row in frames["endings"].to_dict("records") if _hardly_ends(row)),
    ]


def _hardly_ends(row: Mapping[str, Any]) -> bool:
    return row["condition"] == "base" and row["finished"] < LEAST_FINISHED * row["n"]


def _unended(row: Mapping[str, Any]) -> str:
    return (
        f"Of {theme.model_label(row['model'])}'s {row['n']} unsteered texts {row['finished']} end by themselves; all others are cut, "
        f"the longest after {row['most_tokens']} tokens. Either answers are longer than generation.max_new_tokens allows, or the model does "
        f"not close them with the tokens that count as an end of turn ({row['end_of_turn']}): read some before you read numbers."
    )


def steering_facts(frames: Mapping[str, pd.DataFrame]) -> dict[str, str]:
    """Words that captions of the section name in braces."""
    asr, curves = frames["asr"], frames["dose_response"]
    tested = [
        f"{span(asr.loc[asr['dataset'] == dataset, 'n'])} {_prompts(dataset)}"
        for dataset in theme.datasets_in(asr)
    ]
    validated = [
        f"{span(curves.loc[curves['condition'] == condition, 'n'])} {label}"
        for condition, label in (("bypass", "harmful"), ("induce", "harmless"))
        if condition in set(curves["condition"])
    ]
    published = dict.fromkeys(frames["published_asr"]["published_model"])
    return {
        "n_test": listing(tested),
        "n_validation": listing(validated),
        "n_layer": span(frames["layers"]["n"]),
        "n_bystanders": span(frames["side_effects"]["n_bystanders"]),
        "judges": listing(sorted(asr["judge"].unique())),
        "judge_errors": _judge_errors(asr, frames["judge_errors"]),
        "label_source": origin_words(frames["judge_errors"]),
        "published_models": listing(theme.model_label(name) for name in published) or "no model",
    }


def _judge_errors(asr: pd.DataFrame, errors: pd.DataFrame) -> str:
    """The error of the judge, or of the judge of each label where they differ."""
    judges = {TARGET[theme.condition_of(asr, row["dataset"])]: row["judge"] for row in asr.to_dict("records")}
    if len(set(judges.values())) == 1:
        return error_words(errors, next(iter(judges.values())), "all")
    return "; ".join(
        f"{label} prompts, {error_words(errors, judge, label)}" for label, judge in judges.items()
    )


def _lead(frames: Mapping[str, pd.DataFrame], model: str) -> str:
    asr = frames["asr"]
    asr = asr[asr["model"] == model]
    harmless, harmful = _datasets(asr)
    asr = asr.set_index(["dataset", "method"])
    on, off = asr.loc[(harmless, "dim")], asr.loc[(harmful, "dim")]
    before_on, before_off = asr.loc[(harmless, "none")], asr.loc[(harmful, "none")]
    induced = rate(1 - on["asr"], 1 - on["asr_high"], 1 - on["asr_low"])
    bypassed = rate(off["asr"], off["asr_low"], off["asr_high"])
    return (
        f"At its chosen coefficient of {signed(on['coefficient'])}, DIM makes {theme.model_label(model)} refuse {induced} of "
        f"{_prompts(harmless)} (without steering {percent(1 - before_on['asr'])}, n = {on['n']}); at "
        f"{signed(off['coefficient'])} it no longer refuses {bypassed} of {_prompts(harmful)} (without steering "
        f"{percent(before_off['asr'])}, n = {off['n']}). Degenerate among these texts: "
        f"{percent(on['degenerate_rate'])} and {percent(off['degenerate_rate'])}.{_published_words(frames, model)}"
    )


def _depth(layers: pd.DataFrame, model: str) -> str:
    dim = layers[(layers["model"] == model) & (layers["method"] == "dim")]
    mean = dim.groupby("layer")["flip_rate"].mean()
    return (
        f"DIM flips most prompts of {theme.model_label(model)} at layer {mean.idxmax()} "
        f"({percent(mean.max())} of the validation prompts, mean of both directions)."
    )


def _published_words(frames: Mapping[str, pd.DataFrame], model: str) -> str:
    rows = frames["published_asr"]
    rows = rows[(rows["model"] == model) & (rows["method"] == "dim")]
    asr = frames["asr"]
    wanted = _datasets(asr[asr["model"] == model])
    parts = []
    for name, rows_of in rows.groupby("published_model", sort=False):
        by_dataset = rows_of.set_index("dataset")
        if not set(wanted) <= set(by_dataset.index):
            continue  # sets of one's own have no published rate
        harmless, harmful = (by_dataset.loc[name] for name in wanted)
        parts.append(
            f"{theme.model_label(str(name))} refuses {percent(1 - harmless['asr'])} on {_dataset(harmless['published_dataset'])} and no "
            f"longer refuses {percent(harmful['asr'])} on {_dataset(harmful['published_dataset'])}"
        )
    return f" Published: {listing(parts)}." if parts else ""


def _datasets(asr: pd.DataFrame) -> tuple[str, str]:
    """The first dataset that refusal is induced on and the first that it is bypassed on, whatever they are called."""
    induced, bypassed = (
        theme.datasets_in(asr[asr["condition"] == condition])[0] for condition in ("induce", "bypass")
    )
    return induced, bypassed


def _prompts(dataset: str) -> str:
    return f"{_dataset(dataset)} prompts"


def _dataset(dataset: str) -> str:
    return theme.dataset_label(dataset)
