"""Section "attention": its tidy frames, the sentence it opens with, and the facts its captions name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from steering_study.attention.schemas import (
    ABLATION_MEANS,
    ABLATIONS,
    ATTENTION_MAPS,
    NEURONS,
    NODES,
    SVV_CONCEPTS,
    SVV_TOKENS,
)
from steering_study.drawing import theme
from steering_study.drawing.published import PUBLISHED_DATASETS
from steering_study.drawing.words import listing, signed, span, word

SHOWN_AS_THEY_ARE = (
    "ablations",
    "ablation_means",
    "nodes",
    "svv_tokens",
    "svv_concepts",
    "attention_maps",
)
EXAMPLES_UNDER = ("none", "qk", "ov")  # ablations whose texts stand beside the unsteered one, as in Figure 1
FRAMES = {
    "ablation_means": ABLATION_MEANS.kinds,
    "published_ablation_means": {"ablation": "string", "mean_change_points": "float64"},
    "ablations": {"model": "string", **ABLATIONS.kinds},
    "published_ablations": {
        "published_model": "string",
        "ablation": "string",
        "dataset": "string",  # ours
        "published_dataset": "string",
        "asr": "float64",
        "change_points": "float64",
    },
    "frozen_examples": {
        "model": "string",
        "dataset": "string",
        "condition": "string",
        "prompt_id": "string",
        "prompt": "string",
        "ablation": "string",  # base: without steering
        "text": "string",
        "verdict": "string",
    },
    "nodes": {"model": "string", **NODES.kinds},
    "svv_tokens": {"model": "string", **SVV_TOKENS.kinds},
    "svv_concepts": {"model": "string", **SVV_CONCEPTS.kinds},
    "neurons": {"model": "string", **NEURONS.kinds, "promotes": "string", "suppresses": "string"},
    "attention_maps": {"model": "string", **ATTENTION_MAPS.kinds},
}  # its tidy frames: the type of each column, in Arrow's words


def attention_frames(
    tables: Mapping[str, pd.DataFrame],
    *,
    cards: Mapping[str, Mapping[str, Any]],
    published: Mapping[str, pd.DataFrame],
) -> dict[str, pd.DataFrame]:
    """Every frame of the section."""
    return {
        **{name: tables[name] for name in SHOWN_AS_THEY_ARE},
        "neurons": tables["neurons"].assign(
            **{
                column: [", ".join(word(token) for token in tokens) for tokens in tables["neurons"][column]]
                for column in ("promotes", "suppresses")
            }
        ),
        "published_ablations": published_ablations(
            published["ablations"], theme.datasets_in(tables["ablations"])
        ),
        "published_ablation_means": published["means"][["ablation", "mean_change_points"]],
        "frozen_examples": pick_frozen_examples(tables),
    }


def published_ablations(printed: pd.DataFrame, datasets: Sequence[str]) -> pd.DataFrame:
    """Table 1 as printed, under the names of our test sets: the public ones keep theirs."""
    ours = {PUBLISHED_DATASETS.get(name, name): name for name in datasets}
    printed = printed[printed["dataset"].isin(list(ours))].reset_index(drop=True)
    return pd.DataFrame(
        {
            "published_model": printed["model"],
            "ablation": printed["ablation"],
            "dataset": printed["dataset"].map(ours),
            "published_dataset": printed["dataset"],
            "asr": printed["asr"],
            "change_points": printed["change_points"].astype(float),
        }
    )


def pick_frozen_examples(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The first prompt of each model and test set that steering changes, under each of a few ablations (Figure 1).

    Where it changes none as it should, the first prompt of all.
    """
    settings = tables["settings"].drop_duplicates(["model", "setting"])
    texts = (
        tables["frozen_responses"].merge(tables["frozen_verdicts"]).merge(settings, on=["model", "setting"])
    )
    texts = texts[(texts["scope"] == "all") & texts["ablation"].isin(EXAMPLES_UNDER)]
    base = tables["base_responses"].merge(tables["base_verdicts"])
    parts = []
    for (model, _), rows in texts.groupby(["model", "dataset"], sort=False):
        unsteered = base[base["model"] == model].set_index("prompt_id")
        plain = rows[rows["ablation"] == "none"]
        changed = plain["refused"] != plain["prompt_id"].map(unsteered["refused"])
        worked = plain[changed & (plain["refused"] == (plain["condition"] == "induce"))]
        chosen = (worked if len(worked) else plain)["prompt_id"].iloc[0]
        before = unsteered.loc[[chosen]].reset_index().assign(ablation="base")
        own = rows[rows["prompt_id"] == chosen]
        order = own["ablation"].map({name: place for place, name in enumerate(EXAMPLES_UNDER)})
        parts += [before.assign(condition=own["condition"].iloc[0]), own.loc[order.sort_values().index]]
    columns = ["model", "dataset", "condition", "prompt_id", "prompt", "ablation", "text", "verdict"]
    return pd.concat(parts, ignore_index=True)[columns]


def attention_leads(frames: Mapping[str, pd.DataFrame]) -> list[str]:
    """What freezing either half of attention takes from DIM, beside what was published."""
    means = frames["ablation_means"].query("method == 'dim' and scope == 'all'").set_index("ablation")
    printed = frames["published_ablation_means"].set_index("ablation")["mean_change_points"]
    parts = [
        f"{LABELS[name]} {_points(means.loc[name])} (published {signed(printed[name])})"
        for name in ("qk", "ov", "svv", "mlp")
        if name in means.index
    ]
    nodes = frames["nodes"]
    moved = nodes.groupby("model", sort=False)["moved"].mean()
    of_method = (
        nodes[nodes["kind"] != "attn_head"].groupby(["model", "kind", "method"], sort=False)["ie"].sum()
    )
    by_kind = of_method.groupby(level=["model", "kind"], sort=False).mean()
    leads = [
        "Points of attack success that an ablation takes from steering with DIM, on average of models and test sets: "
        f"{listing(parts)}."
    ]
    leads += [
        f"In {theme.model_label(str(model))} attention weights move by {moved[model]:.2f} of 1 on average of heads; "
        f"heads carry {_logits(by_kind[model, 'attn'])}, MLPs {_logits(by_kind[model, 'mlp'])} logits a position on "
        "average of methods."
        for model in moved.index
    ]
    return leads


LABELS = {
    "qk": "freezing attention weights",
    "ov": "freezing values",
    "svv": "clearing values of the vector",
    "mlp": "clearing MLPs of it",
}


def attention_facts(frames: Mapping[str, pd.DataFrame]) -> dict[str, str]:
    """Words that captions of the section name in braces."""
    tokens, neurons, maps = frames["svv_tokens"], frames["neurons"], frames["attention_maps"]
    concepts = frames["svv_concepts"]
    chance = concepts.groupby("model", sort=False)["chance"].first()
    return {
        "n_ablated": span(frames["ablations"]["n"]),
        "n_averaged": span(frames["ablation_means"]["n"]),
        "n_read": span(tokens.loc[tokens["sign"] == 1].groupby(["model", "method", "source"]).size()),
        "n_top_heads": span(
            tokens.loc[tokens["source"].str.contains(".", regex=False)]
            .groupby(["model", "method"])["source"]
            .nunique()
        ),
        "chance": listing(f"{theme.model_label(str(m))} {100 * value:.1f} %" for m, value in chance.items()),
        "n_neurons": span(neurons.groupby(["model", "method"]).size()),
        "n_queries": span(maps.groupby(["model", "method", "prompt_id", "node"])["query"].nunique()),
        "n_node_positions": span(frames["nodes"]["n_positions"]),
    }


def _points(row: pd.Series) -> str:
    low, high = (signed(round(row[name], 1)) for name in ("change_low", "change_high"))
    return f"{signed(round(row['change_points'], 1))} [{low}, {high}]"


def _logits(value: float) -> str:
    return signed(round(value, 2))
