"""Made-up texts under sparse vectors and the summary tables of the study over them, for tests of frames, figures and the page."""

from __future__ import annotations

import numpy as np
import pandas as pd

from steering_study.sparsity.retention import summarise_retention
from steering_study.sparsity.settings import settings_table
from steering_study.sparsity.shared import overlap_table, shared_table
from steering_study.sparsity.sparsify import (
    Grid,
    kept_at,
    plain_vectors,
    shared_vectors,
    variants,
    with_factors,
)
from steering_study.sparsity.tables import summarise_kl, summarise_sparse_circuits, summarise_sparsity

D_MODEL = 20
GRID = Grid(percents=[50.0, 90.0], thresholds=[], draws=2)
MAIN_SETS = ("harmful", "harmless")
N = 6  # prompts of a set
INTERVAL = {"confidence": 0.95, "seed": 0}
VECTOR = np.arange(1.0, D_MODEL + 1)


def verdicts(*, steered: bool, rng: np.random.Generator) -> pd.DataFrame:
    """Six prompts of each test set, refused or not with the direction's effect."""
    rows = []
    for name, condition in (("harmful", "bypass"), ("harmless", "induce"), ("ood", "bypass")):
        refused = (condition == "bypass") != steered
        for i in range(N):
            kept = rng.random() < 0.9
            rows.append(
                (f"{name}-{i}", name, condition if steered else "base", refused if kept else not refused)
            )
    columns = ["prompt_id", "dataset", "condition", "refused"]
    return pd.DataFrame(rows, columns=columns).assign(degenerate=False)


def sparse_settings(
    effects: np.ndarray, shared: dict[float, list[np.ndarray]], grid: Grid = GRID
) -> pd.DataFrame:
    """Every vector that is tried: plain, rescaled, at twice the coefficient, and the dimensions that are shared."""
    choice = {"criteria": ["gradient"], "percents": [50.0]}
    return settings_table(
        [
            *plain_vectors(VECTOR, effects, grid, seed=0),
            *variants(VECTOR, effects, "rescaled", **choice),
            *with_factors(variants(VECTOR, effects, "retuned", **choice), [2.0]),
            *shared_vectors(shared),
        ]
    )


def sparse_texts(settings: pd.DataFrame, steered: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Verdicts under every setting: the fewer dimensions are kept, the more often steering fails."""
    parts = []
    for row in settings.to_dict("records"):
        failed = rng.random(len(steered)) < row["sparsity_percent"] / 120
        parts.append(
            steered.assign(
                setting=row["setting"], refused=np.where(failed, ~steered["refused"], steered["refused"])
            )
        )
    return pd.concat(parts, ignore_index=True)


def divergences(settings: pd.DataFrame) -> pd.DataFrame:
    """A `sparse_kl` table that grows with sparsity."""
    plain = settings[
        (settings["variant"] == "plain") & ~settings["criterion"].isin(["shared", "unshared"])
    ].drop(columns=["dimensions", "factor_induce", "factor_bypass", "setting"])
    texts = pd.DataFrame({"dataset": np.repeat(MAIN_SETS, 2), "prompt_id": ["a", "b", "c", "d"]})
    return plain.merge(texts, how="cross").assign(kl_nats=lambda table: table["sparsity_percent"] / 100)


def circuit_runs() -> pd.DataFrame:
    """A `sparse_runs` table in which half the edges carry half the effect; nothing is left at 99 %."""
    rows = []
    for percent, gap in ((0.0, 4.0), (90.0, 1.0), (99.0, 0.0)):
        for n_edges in (5, 10):
            rows += [
                (percent, gap, n_edges, dataset, str(i), gap * n_edges / 10)
                for dataset in MAIN_SETS
                for i in range(2)
            ]
    columns = ["target_percent", "steer", "n_edges", "dataset", "prompt_id", "value"]
    table = pd.DataFrame(rows, columns=columns)
    return table.assign(nominal_edges=table["n_edges"], base=0.0, n_positions=2)


def shared_tokens() -> pd.DataFrame:
    """A `shared_tokens` table of one method."""
    return pd.DataFrame(
        [
            (source, sign, rank, f" word{rank}", rank, 5.0 - rank, rank == 1)
            for source in ("vector", "shared 50 %", "unshared 50 %")
            for sign in (1, -1)
            for rank in (1, 2, 3)
        ],
        columns=["source", "sign", "rank", "token", "token_id", "logit", "in_words"],
    )


def sparsity_summaries(
    methods: tuple[str, ...], rng: np.random.Generator, grid: Grid = GRID
) -> dict[str, pd.DataFrame]:
    """The seven tables of `summarise_sparsity`, as of one model."""
    effects = {method: rng.normal(size=D_MODEL) for method in methods}
    masks = {50.0: {name: kept_at("gradient", VECTOR, each, 50.0) for name, each in effects.items()}}
    shared = {percent: list(by_method.values()) for percent, by_method in masks.items()}
    settings = {name: sparse_settings(each, shared, grid) for name, each in effects.items()}
    base, dense = verdicts(steered=False, rng=rng), verdicts(steered=True, rng=rng)
    named = pd.concat([table.assign(method=name) for name, table in settings.items()], ignore_index=True)
    steered = pd.concat(
        [sparse_texts(table, dense, rng).assign(method=name) for name, table in settings.items()],
        ignore_index=True,
    )
    of_all = {
        name: pd.concat([table.assign(method=method) for method, table in tables.items()], ignore_index=True)
        for name, tables in {
            "kl": {method: divergences(table) for method, table in settings.items()},
            "runs": {method: circuit_runs() for method in methods},
            "tokens": {method: shared_tokens() for method in methods},
        }.items()
    }
    return {
        "sparsity": summarise_sparsity(base, steered, named, confidence=0.95),
        "retention": summarise_retention(base, steered, named, main_sets=MAIN_SETS, retained=0.9, **INTERVAL),
        "sparsity_kl": summarise_kl(of_all["kl"], **INTERVAL),
        "sparse_faithfulness": summarise_sparse_circuits(of_all["runs"], **INTERVAL),
        "iou": overlap_table(settings, d_model=D_MODEL),
        "shared_dimensions": shared_table(masks, d_model=D_MODEL),
        "shared_tokens": of_all["tokens"],
    }
