"""Section "circuits": its tidy frames, the sentence it opens with, and the facts its captions name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from steering_study.figures import theme
from steering_study.figures.words import listing, percent, span

SHOWN_AS_THEY_ARE = (
    "faithfulness",
    "completeness",
    "edge_census",
    "edge_shares",
    "top_edges",
    "overlap",
    "interchange",
    "interchange_fit",
    "circuit_asr",
)


def circuits_frames(
    tables: Mapping[str, pd.DataFrame],
    *,
    cards: Mapping[str, Mapping[str, Any]],
    published: Mapping[str, pd.DataFrame],
) -> dict[str, pd.DataFrame]:
    """Every frame of the section."""
    minimum = published["minimum"]
    sets = published["sets"]
    return {
        **{name: tables[name] for name in SHOWN_AS_THEY_ARE},
        "published_minimum": minimum.assign(share_of_edges=minimum["edges"] / minimum["all_edges"])[
            ["model", "share_of_edges", "faithfulness"]
        ],
        "published_shares": published["shares"].rename(columns={"model": "published_model"}),
        "published_metrics": _published_metrics(published["metrics"]),
        "published_sets": pd.DataFrame(
            {
                "published_model": sets["model"],
                "method": sets["method"],
                "patching_set": sets["prompts"] + "_" + sets["forced_text"],
                "n": sets["responses"],
                "n_positions": sets["positions"],
            }
        ),
    }


def _published_metrics(printed: pd.DataFrame) -> pd.DataFrame:
    """Table 9 as printed, under our names of the metrics."""
    names = [
        f"kl_{threshold:g}" if metric == "directional_kl" else metric
        for metric, threshold in zip(printed["metric"], printed["threshold"], strict=True)
    ]
    return pd.DataFrame({"metric": names, "n_positions": printed["positions"]})


def circuits_leads(frames: Mapping[str, pd.DataFrame]) -> list[str]:
    """How small a circuit carries steering and what its complement does, in one sentence a model."""
    return [_lead(frames, model) for model in theme.models_in(frames["faithfulness"])]


def circuits_facts(frames: Mapping[str, pd.DataFrame]) -> dict[str, str]:
    """Words that captions of the section name in braces."""
    table, text, edges = frames["faithfulness"], frames["circuit_asr"], frames["interchange"]
    own = table.loc[table["kind"] == "own"]
    random = table.loc[table["kind"] == "random"]
    totals = frames["edge_census"].query("end == 'in'").groupby("model", sort=False)["edges"].sum()
    return {
        "n_responses": span(own["n"]),
        "n_draws": str(int(random["draw"].max()) + 1) if len(random) else "0",
        "n_text": span(text["n"]),
        "n_sampled": span(frames["interchange_fit"].query("dst_kind == 'all'")["n"]),
        "n_exact": span(edges["n"]),
        "n_edges": listing(f"{theme.model_label(str(model))} {n}" for model, n in totals.items()),
        "n_drawn": span(frames["top_edges"].groupby(["model", "method"]).size()),
    }


def _lead(frames: Mapping[str, pd.DataFrame], model: str) -> str:
    table = frames["faithfulness"].query("model == @model")
    smallest = table.loc[table["minimum"]].groupby("vector_method", sort=False).agg(
        n_edges=("n_edges", "first"), share=("share_of_edges", "first"), faithfulness=("faithfulness", "mean")
    )  # fmt: skip
    parts = [
        f"{theme.method_label(str(method))} {int(row['n_edges'])} edges ({percent(row['share'])}, "
        f"faithfulness {row['faithfulness']:.2f})"
        for method, row in smallest.iterrows()
    ]
    beside = table.groupby("kind")["faithfulness"].mean()
    return (
        f"Smallest circuits that carry steering in {theme.model_label(model)}: {listing(parts)}. Random circuits of twice "
        f"the size carry {_signed(beside['random'])}, the complements {_signed(beside['complement'])} on average."
    )


def _signed(value: float) -> str:
    return f"{round(value, 2) + 0.0:.2f}".replace("-", "\N{MINUS SIGN}")  # and no -0.00
