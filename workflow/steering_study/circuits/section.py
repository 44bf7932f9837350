"""Section "circuits": its tidy frames, the sentence it opens with, and the facts its captions name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from steering_study.circuits.schemas import (
    CIRCUIT_ASR,
    COMPLETENESS,
    EDGE_CENSUS,
    EDGE_SHARES,
    FAITHFULNESS,
    INTERCHANGE,
    INTERCHANGE_FIT,
    OVERLAP,
    TOP_EDGES,
)
from steering_study.drawing import theme
from steering_study.drawing.words import listing, percent, span

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
FRAMES = {
    "faithfulness": {"model": "string", **FAITHFULNESS.kinds},
    "published_minimum": {"model": "string", "share_of_edges": "float64", "faithfulness": "float64"},
    "circuit_asr": {"model": "string", **CIRCUIT_ASR.kinds},
    "overlap": {"model": "string", **OVERLAP.kinds},
    "top_edges": {"model": "string", **TOP_EDGES.kinds},
    "edge_shares": {"model": "string", **EDGE_SHARES.kinds},
    "edge_census": {"model": "string", **EDGE_CENSUS.kinds},
    "published_shares": {
        "published_model": "string",
        "method": "string",
        "scope": "string",
        "end": "string",
        "node_kind": "string",
        "percent": "float64",
    },
    "interchange": {"model": "string", **INTERCHANGE.kinds},
    "interchange_fit": {"model": "string", **INTERCHANGE_FIT.kinds},
    "completeness": {"model": "string", **COMPLETENESS.kinds},
    "published_sets": {
        "published_model": "string",
        "method": "string",
        "patching_set": "string",
        "n": "int64",
        "n_positions": "int64",
    },
    "published_metrics": {"metric": "string", "n_positions": "int64"},
}  # its tidy frames: the type of each column, in Arrow's words


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
    by_method = table.loc[table["minimum"]].groupby("vector_method", sort=False)
    smallest = by_method.agg(
        n_edges=("n_edges", "first"), share=("share_of_edges", "first"), faithfulness=("faithfulness", "mean")
    )
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
