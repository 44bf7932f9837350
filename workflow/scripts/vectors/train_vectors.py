"""Train the vectors of some trials of a method's search, side by side."""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch

from steering_study.models.loading import read_model
from steering_study.store.artifacts import read_json, read_table, write_table, write_tensors
from steering_study.store.job import job
from steering_study.vectors.learned import (
    Objective,
    Trial,
    beta_quantiles,
    force_pairs,
    match_score,
    pairs_of,
    responses_per_pass,
    train_trials,
    trials_of,
)
from steering_study.vectors.schemas import PAIRS, TRAINING, TRIALS

if TYPE_CHECKING:
    snakemake: Any = None


def main(
    *,
    pairs: Path,
    card: Path,
    method: str,
    layer: int,
    trials: Mapping[int, Trial],
    batch_size: int | None,
    vectors: Path,
    table: Path,
    training: Path,
    provenance: Mapping[str, Any],
) -> None:
    """Write the vectors, one row a trial, and the tables `trials` and `training`."""
    model = read_model(card)
    objective: Objective = import_module(f"steering_study.vectors.methods.{method}").OBJECTIVE
    frame = read_table(pairs, PAIRS).query("kept")
    per_pass = responses_per_pass(model, frame, batch_size)
    heldout = frame["split"] == "validation"
    train_set, validation = (
        force_pairs(model, pairs_of(model, of_split), layer=layer, batch_size=per_pass)
        for of_split in (frame[~heldout], frame[heldout])
    )
    learned, curve = train_trials(
        train_set,
        validation,
        list(trials.values()),
        objective=objective,
        batch_size=per_pass,
        label=f"{model.card.name} {method}",
    )
    names = list(trials)
    curve = curve.assign(trial=[names[i] for i in curve["trial"]], method=method, layer=layer)
    last = curve[curve["epoch"] == curve["epoch"].max()].set_index("trial")
    rows = [
        {
            "method": method,
            "layer": layer,
            "trial": name,
            "learning_rate": trial.learning_rate,
            "batch_size": trial.batch_size,
            "epochs": trial.epochs,
            "seed": trial.seed,
            "phi": trial.phi,
            "n_pairs": len(train_set.signs),
            "validation_loss": last.loc[name, "validation_loss"],
            "match_score": match_score(validation, vector, batch_size=per_pass),
            "norm": last.loc[name, "norm"],
            **beta_quantiles(train_set, trial, objective),
            "selected": False,
        }
        for (name, trial), vector in zip(trials.items(), learned, strict=True)
    ]
    write_tensors(
        vectors, {"vectors": learned.float().cpu(), "trials": torch.tensor(names)}, provenance=provenance
    )
    write_table(table, pd.DataFrame(rows), TRIALS, provenance=provenance)
    write_table(training, curve, TRAINING, provenance=provenance)


if "snakemake" in globals():
    with job(snakemake) as provenance:
        main(
            pairs=Path(snakemake.input.pairs),
            card=Path(snakemake.input.card),
            method=snakemake.wildcards.method,
            layer=read_json(Path(snakemake.input.vector_card))["layer"],
            trials=trials_of(snakemake.params.trials),
            batch_size=snakemake.params.batch_size,
            vectors=Path(snakemake.output.vectors),
            table=Path(snakemake.output.trials),
            training=Path(snakemake.output.training),
            provenance=provenance,
        )
