"""Section "sparsity": its tidy frames, the sentences it opens with, and the facts its captions name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from steering_study.drawing import theme
from steering_study.drawing.published import PUBLISHED_DATASETS, PUBLISHED_MODELS
from steering_study.drawing.words import NARROW, listing, percent, span
from steering_study.sparsity.figures.plots import LEAST_EFFECT
from steering_study.sparsity.retention import DENSE, MAIN_CRITERION, POOLED
from steering_study.sparsity.schemas import IOU, RETENTION, SHARED_DIMENSIONS, SHARED_TOKENS, SPARSITY_KL
from steering_study.sparsity.shared import READ_NEAR, overlaps_near
from steering_study.sparsity.sparsify import CRITERIA, area_under_retention, largest_retained

SHOWN_AS_THEY_ARE = ("retention", "sparsity_kl", "iou", "shared_tokens")
PUBLISHED_MEAN = "mean"  # over the published models, as one of them
FRAMES = {
    "retention": {"model": "string", **RETENTION.kinds},
    "published_retention": {
        "published_model": "string",  # mean: over them
        "method": "string",
        "criterion": "string",
        "area": "float64",
        "largest_percent": "float64",
    },
    "sparsity_curves": {
        "model": "string",
        "method": "string",
        "criterion": "string",  # none: dense
        "condition": "string",
        "dataset": "string",
        "threshold": "float64",
        "target_percent": "float64",
        "sparsity_percent": "float64",
        "n_kept": "int64",
        "n_draws": "int64",
        "n": "int64",  # prompts of a draw
        "asr": "float64",  # mean over draws
        "asr_low": "float64",  # of dropout: the least of the draws
        "asr_high": "float64",
        "degenerate_rate": "float64",
    },
    "published_sparsity": {
        "published_model": "string",
        "method": "string",
        "criterion": "string",
        "dataset": "string",  # ours
        "published_dataset": "string",
        "threshold": "float64",
        "sparsity_percent": "float64",
        "asr": "float64",
    },
    "published_families": {"model": "string", "published_model": "string"},
    "sparse_variants": {
        "model": "string",
        "method": "string",
        "variant": "string",  # dense, plain, rescaled, retuned
        "target_percent": "float64",  # 0: dense
        "condition": "string",
        "dataset": "string",
        "factor": "float64",
        "n": "int64",
        "asr": "float64",
        "asr_low": "float64",
        "asr_high": "float64",
        "degenerate_rate": "float64",
        "flip_rate": "float64",
    },
    "sparsity_kl": {"model": "string", **SPARSITY_KL.kinds},
    "sparse_circuits": {
        "model": "string",
        "method": "string",
        "target_percent": "float64",
        "nominal_edges": "int64",
        "n_edges": "int64",
        "faithfulness": "float64",  # mean over test sets
        "gap": "float64",
        "n": "int64",  # responses that the vector changes
    },
    "iou": {"model": "string", **IOU.kinds},
    "shared_dimensions": {"model": "string", **SHARED_DIMENSIONS.kinds, "dimensions": "string"},
    "shared_asr": {
        "model": "string",
        "method": "string",
        "part": "string",  # none: dense; shared; unshared
        "target_percent": "float64",  # 0: dense
        "n_kept": "int64",
        "dataset": "string",
        "n": "int64",
        "asr": "float64",
        "asr_low": "float64",
        "asr_high": "float64",
        "degenerate_rate": "float64",
    },
    "shared_tokens": {"model": "string", **SHARED_TOKENS.kinds},
}  # its tidy frames: the type of each column, in Arrow's words


def sparsity_frames(
    tables: Mapping[str, pd.DataFrame],
    *,
    cards: Mapping[str, Mapping[str, Any]],
    published: Mapping[str, pd.DataFrame],
) -> dict[str, pd.DataFrame]:
    """Every frame of the section.

    Args:
        published: "sparsity" is Tables 10 and 11 as printed, "asr" Table 2.
    """
    sparsity = tables["sparsity"]
    main_sets = theme.datasets_in(tables["sparsity_kl"])
    shared = tables["shared_dimensions"]
    return {
        **{name: tables[name] for name in SHOWN_AS_THEY_ARE},
        "sparsity_curves": average_draws(sparsity),
        "sparse_variants": pick_variants(sparsity, main_sets),
        "sparse_circuits": average_sets(tables["sparse_faithfulness"]),
        "shared_dimensions": shared.assign(
            dimensions=[", ".join(map(str, dimensions)) for dimensions in shared["dimensions"]]
        ),
        "shared_asr": pick_shared(sparsity, main_sets),
        "published_families": published_families(theme.models_in(sparsity), cards),
        "published_sparsity": published_beside(published["sparsity"], theme.datasets_in(sparsity)),
        "published_retention": published_retention(
            published["sparsity"], published["asr"], main_sets, retained=_retained(tables["retention"])
        ),
    }


def average_draws(sparsity: pd.DataFrame) -> pd.DataFrame:
    """Rates of the dense vector and of every plain sparse one; draws of dropout become their mean, least and greatest."""
    plain = sparsity[sparsity["criterion"].isin([DENSE, *CRITERIA]) & (sparsity["variant"] == "plain")]
    which = ["model", "method", "criterion", "condition", "dataset"]
    which += ["threshold", "target_percent", "sparsity_percent", "n_kept"]
    found = (
        plain.groupby(which, sort=False, dropna=False)
        .agg(
            n_draws=("draw", "nunique"),
            n=("n", "first"),
            asr=("asr", "mean"),
            asr_low=("asr_low", "first"),
            asr_high=("asr_high", "first"),
            least=("asr", "min"),
            greatest=("asr", "max"),
            degenerate_rate=("degenerate_rate", "mean"),
        )
        .reset_index()
    )
    drawn = found["criterion"] == "dropout"
    return found.assign(
        asr_low=found["asr_low"].mask(drawn, found["least"]),
        asr_high=found["asr_high"].mask(drawn, found["greatest"]),
    )[list(FRAMES["sparsity_curves"])]


def pick_variants(sparsity: pd.DataFrame, main_sets: Sequence[str]) -> pd.DataFrame:
    """The dense vector, and the gradient's vectors at the sparsities at which they were also rescaled or retuned."""
    own = sparsity[sparsity["criterion"] == MAIN_CRITERION]
    percents = own.loc[own["variant"] != "plain", "target_percent"].unique()
    chosen = own["target_percent"].isin(percents)
    rows = pd.concat([sparsity[sparsity["criterion"] == DENSE].assign(variant="dense"), own[chosen]])
    rows = rows[rows["dataset"].isin(main_sets)].fillna({"target_percent": 0.0})
    return rows.reset_index(drop=True)[list(FRAMES["sparse_variants"])]


def pick_shared(sparsity: pd.DataFrame, main_sets: Sequence[str]) -> pd.DataFrame:
    """The dense vector, the dimensions that every method keeps, and all others."""
    rows = sparsity[sparsity["criterion"].isin([DENSE, "shared", "unshared"])]
    rows = rows[rows["dataset"].isin(main_sets)].fillna({"target_percent": 0.0})
    return rows.rename(columns={"criterion": "part"}).reset_index(drop=True)[list(FRAMES["shared_asr"])]


def average_sets(faithfulness: pd.DataFrame) -> pd.DataFrame:
    """Mean faithfulness of each circuit over the test sets on which the vector does anything."""
    which = ["model", "method", "target_percent", "nominal_edges"]
    found = faithfulness.groupby(which, sort=False).agg(
        n_edges=("n_edges", "first"),
        faithfulness=("faithfulness", "mean"),
        gap=("gap", "mean"),
        n=("n", "sum"),
    )
    return found.reset_index()


def published_families(models: Sequence[str], cards: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """The published models that stand beside each of ours: of its family, or all of them."""
    every = tuple(name for names in PUBLISHED_MODELS.values() for name in names)
    pairs = [
        (model, name)
        for model in models
        for name in PUBLISHED_MODELS.get(cards[model]["architecture"], every)
    ]
    return pd.DataFrame(pairs, columns=list(FRAMES["published_families"]))


def published_beside(printed: pd.DataFrame, datasets: Sequence[str]) -> pd.DataFrame:
    """Tables 10 and 11 as printed, under the names of our test sets."""
    ours = {PUBLISHED_DATASETS.get(name, name): name for name in datasets}
    found = printed[printed["dataset"].isin(list(ours))]
    return pd.DataFrame(
        {
            "published_model": found["model"],
            "method": found["method"],
            "criterion": found["criterion"],
            "dataset": found["dataset"].map(ours),
            "published_dataset": found["dataset"],
            "threshold": found["tau"].astype(float),
            "sparsity_percent": found["sparsity_percent"].astype(float),
            "asr": found["asr"].astype(float),
        }
    ).reset_index(drop=True)


def published_retention(
    printed: pd.DataFrame, unsteered: pd.DataFrame, main_sets: Sequence[str], *, retained: float
) -> pd.DataFrame:
    """Area under retention and largest sparsity that keeps the effect, of the printed rates and their mean over models.

    The definitions are those of the `retention` table on the mean over the main sets; printed rates have no intervals.

    Args:
        printed: Tables 10 and 11.
        unsteered: Table 2, its rows without steering.
        retained: share of the dense effect that counts as kept.
    """
    theirs = [PUBLISHED_DATASETS.get(name, name) for name in main_sets]
    before = unsteered[unsteered["method"] == DENSE].rename(columns={"asr": "before"})
    joined = printed[printed["dataset"].isin(theirs)].merge(before.drop(columns="method"))
    harmless = joined["dataset"] == PUBLISHED_DATASETS["harmless"]
    for column in ("asr", "before"):
        joined[column] = joined[column].where(~harmless, 1 - joined[column])
    rows = []
    for (model, method, criterion), part in joined.groupby(["model", "method", "criterion"], sort=False):
        curve = part.groupby("sparsity_percent")[["asr", "before"]].mean()
        gained = curve["asr"] - curve["before"]
        percents, kept = list(curve.index), list(gained / gained.iloc[0])
        rows.append(
            {
                "published_model": model,
                "method": method,
                "criterion": criterion,
                "area": area_under_retention(percents, kept),
                "largest_percent": largest_retained(percents, kept, share=retained),
            }
        )
    table = pd.DataFrame(rows, columns=list(FRAMES["published_retention"]))
    means = table.groupby(["method", "criterion"], sort=False)[["area", "largest_percent"]].mean()
    means = means.reset_index().assign(published_model=PUBLISHED_MEAN)
    return pd.concat([table, means], ignore_index=True)


def sparsity_leads(frames: Mapping[str, pd.DataFrame]) -> list[str]:
    """How sparse DIM may become, what methods share, and what rescaling brings back."""
    leads = [_retention_lead(frames), *_overlap_leads(frames["iou"])]
    return [*leads, *_variant_leads(frames["sparse_variants"])]


def _retention_lead(frames: Mapping[str, pd.DataFrame]) -> str:
    ours, printed = (
        frames[name][(frames[name]["method"] == "dim") & (frames[name]["criterion"] == MAIN_CRITERION)]
        for name in ("retention", "published_retention")
    )
    ours = ours[ours["dataset"] == POOLED]
    parts = [f"{_zeroed(row)} in {theme.model_label(row['model'])}" for row in ours.to_dict("records")]
    there = {row["published_model"]: row["largest_percent"] for row in printed.to_dict("records")}
    mean = there.pop(PUBLISHED_MEAN, np.nan)
    models = listing(f"{theme.model_label(name)} {_percent(value)}" for name, value in there.items())
    return (
        f"Share of dimensions that the gradient may set to zero while DIM keeps {percent(_retained(frames['retention']))} of its effect: "
        f"{listing(parts)}; published, by the same definition, {_percent(mean)} on average ({models})."
    )


def _overlap_leads(overlaps: pd.DataFrame) -> list[str]:
    leads = []
    own = overlaps[overlaps["criterion"] == MAIN_CRITERION]
    for model, rows in own.groupby("model", sort=False):
        at = overlaps_near(rows, READ_NEAR)
        n_beyond = int((at["p_adjusted"] < 0.05).sum())
        leads.append(
            f"With {_range(at['sparsity_percent'], '.0f')}{NARROW}% of dimensions set to zero by the gradient, those that two methods keep "
            f"in {theme.model_label(str(model))} have an IoU of {_range(at['iou'], '.2f')} (chance "
            f"{_range(at['chance'], '.2f')}); {n_beyond} of {len(at)} pairs share more than chance would give."
        )
    return leads


def _variant_leads(variants: pd.DataFrame) -> list[str]:
    leads = []
    own = variants[variants["method"] == "dim"].groupby("model", sort=False)
    for model, rows in own:
        most = rows["target_percent"].max()
        if most == 0:  # the dense vector alone
            continue
        at = rows[(rows["target_percent"] == most) | (rows["variant"] == "dense")]
        flipped = at.groupby("variant", sort=False)["flip_rate"].mean()
        parts = [
            f"{percent(flipped[name])} {words}" for name, words in VARIANT_WORDS.items() if name in flipped
        ]
        leads.append(
            f"DIM flips {percent(flipped['dense'])} of main test prompts in {theme.model_label(str(model))}; of its "
            f"{100 - most:g}{NARROW}% dimensions with the largest gradients it flips {listing(parts)}."
        )
    return leads


VARIANT_WORDS = {
    "plain": "as they are",
    "rescaled": "at the norm of the dense vector",
    "retuned": "at a coefficient of their own",
}


def sparsity_facts(frames: Mapping[str, pd.DataFrame]) -> dict[str, str]:
    """Words that captions of the section name in braces."""
    curves, variants, tokens = frames["sparsity_curves"], frames["sparse_variants"], frames["shared_tokens"]
    pooled = frames["retention"][frames["retention"]["dataset"] == POOLED]
    drawn = curves[curves["criterion"] == "dropout"]
    dense = curves[curves["criterion"] == DENSE]
    circuits, overlaps = frames["sparse_circuits"], frames["iou"]
    retuned = variants.loc[variants["variant"] == "retuned", "factor"]
    return {
        "retained": percent(_retained(frames["retention"])),
        "n_sparse": span(curves.loc[curves["criterion"] != "dropout", "n"]),
        "n_draws": span(drawn["n_draws"]) if len(drawn) else "0",
        "n_drawn": span(drawn["n"]) if len(drawn) else "0",
        "n_pooled": span(pooled.loc[pooled["criterion"] != "dropout", "n"]),
        "n_variants": span(variants["n"]),
        "factors": _range(retuned, "g") if len(retuned) else "none",
        "n_divergences": span(frames["sparsity_kl"]["n"]),
        "least_effect": percent(LEAST_EFFECT),
        "n_dense": span(circuits.loc[circuits["target_percent"] == 0, "n"]),
        "n_sparsest": span(circuits.loc[circuits["target_percent"] > 0, "n"])
        if (circuits["target_percent"] > 0).any()
        else "0",
        "d_model": listing(
            f"{theme.model_label(str(model))} {n}"
            for model, n in dense.groupby("model", sort=False)["n_kept"].first().items()
        ),
        "n_overlaps": span(overlaps.groupby("model").size()) if len(overlaps) else "0",
        "n_shared_prompts": span(frames["shared_asr"]["n"]),
        "n_tokens": span(tokens[tokens["sign"] == 1].groupby(["model", "method", "source"]).size()),
    }


def _zeroed(row: Mapping[str, Any]) -> str:
    if pd.isna(row["largest_percent"]):
        return "undefined, as DIM changes nothing,"
    low, high = (f"{row[name]:.0f}" for name in ("largest_low", "largest_high"))
    return f"{_percent(row['largest_percent'])} [{low},{NARROW}{high}]"


def _retained(retention: pd.DataFrame) -> float:
    return float(retention["retained"].iloc[0])


def _percent(value: float) -> str:
    return percent(value / 100)


def _range(values: Iterable[float], form: str) -> str:
    """One number, or the least and the greatest where they differ in print."""
    found = sorted(values)
    low, high = f"{found[0]:{form}}", f"{found[-1]:{form}}"
    return low if low == high else f"{low} to {high}"
