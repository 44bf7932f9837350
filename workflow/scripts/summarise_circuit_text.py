"""Attack success on the same prompts when nothing, the circuit alone, its complement alone, or everything is steered."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from steering_study.artifacts import read_json, read_table, write_table
from steering_study.circuit_tables import summarise_text
from steering_study.graph import Graph
from steering_study.jobs import job
from steering_study.judges.panel import is_target

if TYPE_CHECKING:
    snakemake: Any = None


def main(
    *,
    card: Path,
    vector_card: Path,
    faithfulness: Path,
    verdicts: Mapping[str, Path],
    method: str,
    confidence: float,
    circuit_asr: Path,
    provenance: Mapping[str, Any],
) -> None:
    """Write the `circuit_asr` table.

    Args:
        verdicts: files by what carries steering: none, circuit, complement, all.
    """
    shapes = read_json(card)
    graph = Graph(
        shapes["n_layers"], read_json(vector_card)["layer"], shapes["n_heads"], shapes["n_kv_heads"]
    )
    curve = read_table(faithfulness, table="faithfulness").query("minimum and vector_method == @method")
    size = int(curve["n_edges"].iloc[0])
    read = {carrier: read_table(path, table="verdicts") for carrier, path in verdicts.items()}
    condition = read["circuit"].set_index("prompt_id")["condition"]
    parts = []
    for carrier, table in read.items():
        same = table[table["prompt_id"].isin(condition.index) & (is_target(table) | (carrier == "none"))]
        parts.append(
            same.assign(carrier=carrier, method=method, condition=list(condition.loc[same["prompt_id"]]))
        )
    n_edges = {"none": 0, "circuit": size, "complement": graph.n_edges - size, "all": graph.n_edges}
    table = summarise_text(pd.concat(parts), n_edges=n_edges, confidence=confidence)
    write_table(circuit_asr, table, table="circuit_asr", provenance=provenance)


if "snakemake" in globals():
    with job(snakemake) as provenance:
        main(
            card=Path(snakemake.input.card),
            vector_card=Path(snakemake.input.vector_card),
            faithfulness=Path(snakemake.input.faithfulness),
            verdicts={name: Path(snakemake.input[name]) for name in ("none", "circuit", "complement", "all")},
            method=snakemake.wildcards.method,
            confidence=snakemake.params.confidence,
            circuit_asr=Path(snakemake.output.circuit_asr),
            provenance=provenance,
        )
