"""Attack success on the same prompts when nothing, the circuit alone, its complement alone, or everything is steered."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from steering_study.circuits.graph import Graph
from steering_study.circuits.schemas import CIRCUIT_ASR, FAITHFULNESS
from steering_study.circuits.tables import summarise_text
from steering_study.judges.panel import is_target
from steering_study.judges.schemas import VERDICTS
from steering_study.store.artifacts import read_json, read_table, write_table
from steering_study.store.job import job

if TYPE_CHECKING:
    snakemake: Any = None


def main(
    *,
    card: Path,
    vector_card: Path,
    faithfulness: Path,
    base: Path,
    carried: Mapping[str, Mapping[str, Path]],
    confidence: float,
    circuit_asr: Path,
    provenance: Mapping[str, Any],
) -> None:
    """Write the `circuit_asr` table.

    Args:
        carried: verdicts by method and what carries steering: circuit, complement, all.
    """
    graph = Graph.of(read_json(card), layer=read_json(vector_card)["layer"])
    smallest = read_table(faithfulness, FAITHFULNESS).query("minimum").groupby("vector_method")
    sizes = smallest["n_edges"].first()
    unsteered, summaries = read_table(base, VERDICTS), []
    for method, files in carried.items():
        tables = {carrier: read_table(path, VERDICTS) for carrier, path in files.items()}
        asked = tables["circuit"].set_index("prompt_id")["condition"]
        verdicts = pd.concat(
            [
                same_prompts(table, asked).assign(carrier=carrier, method=method)
                for carrier, table in {"none": unsteered, **tables}.items()
            ]
        )
        size = int(sizes[method])
        n_edges = {"none": 0, "circuit": size, "complement": graph.n_edges - size, "all": graph.n_edges}
        summaries.append(summarise_text(verdicts, n_edges=n_edges, confidence=confidence))
    write_table(circuit_asr, pd.concat(summaries), CIRCUIT_ASR, provenance=provenance)


def same_prompts(verdicts: pd.DataFrame, asked: pd.Series) -> pd.DataFrame:
    """Verdicts on the prompts that were asked under a circuit, with the condition that they were asked in."""
    rows = verdicts[verdicts["prompt_id"].isin(asked.index)]
    rows = rows[(rows["condition"] == "base") | is_target(rows)]
    return rows.assign(condition=list(asked.loc[rows["prompt_id"]]))


if "snakemake" in globals():
    with job(snakemake) as provenance:
        main(
            card=Path(snakemake.input.card),
            vector_card=Path(snakemake.input.vector_card),
            faithfulness=Path(snakemake.input.faithfulness),
            base=Path(snakemake.input.base),
            carried={
                method: {"circuit": Path(circuit), "complement": Path(complement), "all": Path(steered)}
                for method, circuit, complement, steered in zip(
                    snakemake.params.methods,
                    snakemake.input.circuit,
                    snakemake.input.complement,
                    snakemake.input.steered,
                    strict=True,
                )
            },
            confidence=snakemake.params.confidence,
            circuit_asr=Path(snakemake.output.circuit_asr),
            provenance=provenance,
        )
