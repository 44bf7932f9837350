"""EAP-IG scores of every edge, on the responses of prompts that a method's steering flipped."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from steering_study.circuits.attribution import Budget, Scores, attribute_responses, quadrature
from steering_study.circuits.inputs import SteeringFiles, read_steered_responses
from steering_study.circuits.schemas import ATTRIBUTION
from steering_study.store.artifacts import write_table, write_tensors
from steering_study.store.job import job, logger

if TYPE_CHECKING:
    snakemake: Any = None


def main(
    files: SteeringFiles,
    *,
    method: str,
    datasets: Mapping[str, str],
    limit: int | None,
    metrics: Sequence[str],
    rule: str,
    steps: int,
    budget: Mapping[str, int],
    edge_scores: Path,
    attribution: Path,
    provenance: Mapping[str, Any],
) -> None:
    """Write the scores of each patching set and metric, a response a row, and the `attribution` table."""
    inputs = read_steered_responses(files, datasets=datasets, limit=limit)
    (src, dst), tensors, sums = inputs.graph.edges, {}, []
    for name, responses in inputs.sets.items():
        by_metric = attribute_responses(
            inputs.steered(responses),
            *inputs.token_ids(responses),
            metrics=metrics,
            rule=quadrature(rule, steps),
            budget=Budget(**budget),
        )
        for metric, scores in by_metric.items():
            tensors[f"{name}.{metric}.edges"] = scores.edges[:, src, dst].float()
            tensors[f"{name}.{metric}.dimensions"] = scores.dimensions.float()
            sums.append(_sums(responses, scores).assign(method=method, patching_set=name, metric=metric))
            logger.info("%s %s: %s", name, metric, _completeness(scores))
    write_tensors(edge_scores, tensors, provenance=provenance)
    table = pd.concat(sums, ignore_index=True)
    write_table(attribution, table, ATTRIBUTION, provenance=provenance)


def _sums(chosen: pd.DataFrame, scores: Scores) -> pd.DataFrame:
    """What the `attribution` table says of each response."""
    return pd.DataFrame(
        {
            "prompt_id": chosen["prompt_id"],
            "half": chosen["half"],
            "n_tokens": [len(ids) for ids in chosen["token_ids"]],
            "n_positions": scores.n_positions.tolist(),
            "change": scores.change.tolist(),
            "outgoing": scores.edges[:, 0].sum(-1).tolist(),
        }
    )


def _completeness(scores: Scores) -> str:
    outgoing, change = float(scores.edges[:, 0].sum()), float(scores.change.sum())
    share = f"{100 * abs(outgoing - change) / abs(change):.2f} %" if change else "no position counts"
    return f"scores out of resid_steer {outgoing:.4g}, change of the metric {change:.4g}, residual {share}"


if "snakemake" in globals():
    with job(snakemake) as provenance:
        main(
            SteeringFiles.of(snakemake.input),
            method=snakemake.wildcards.method,
            datasets=snakemake.params.datasets,
            limit=snakemake.params.limit,
            metrics=snakemake.params.metrics,
            rule=snakemake.params.rule,
            steps=snakemake.params.steps,
            budget=snakemake.params.budget,
            edge_scores=Path(snakemake.output.edge_scores),
            attribution=Path(snakemake.output.attribution),
            provenance=provenance,
        )
