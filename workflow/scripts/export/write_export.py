"""Write the folder for others: vectors with cards, circuits as edge lists, tables, citation, licence, manifest."""

import importlib.metadata
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import yaml

from steering_study.circuits.graph import Graph
from steering_study.circuits.schemas import FAITHFULNESS, RANKINGS, TOP_EDGES
from steering_study.drawing.writing import fill_template
from steering_study.export.cards import minimum_circuit, portable, vector_card
from steering_study.export.datapackage import checksums, citation, describe_file, manifest, readable
from steering_study.export.tables import TABLES
from steering_study.steering.schemas import ASR
from steering_study.store.artifacts import (
    read_arrays,
    read_json,
    read_provenance,
    read_table,
    replacing,
    table_of,
    write_arrays,
    write_csv,
    write_json,
    write_table,
)
from steering_study.store.job import job, logger
from steering_study.store.schema import Table

if TYPE_CHECKING:
    snakemake: Any = None

PACKAGES = (
    "torch",
    "transformers",
    "transformer-lens",
    "safetensors",
    "numpy",
    "pandas",
    "scipy",
    "snakemake",
)
Written = dict[Path, tuple[Table, int]]  # tables by file, with their rows


def main(
    *,
    results: Path,
    models: Sequence[str],
    vector_models: Sequence[str],
    methods: Sequence[str],
    circuit_methods: Sequence[str],
    tables: Sequence[Path],
    template: Path,
    licence: Path,
    citation_file: Path,
    config: Mapping[str, Any],
    code: str,
    folder: Path,
) -> None:
    """Write the folder; an old one is replaced as a whole.

    Args:
        results: folder with a folder a model.
        vector_models: models whose vectors are exported.
        tables: files under `results`, which keep their places under tables/.
        code: digest of the code that writes the folder; every file says by which code its content was made.

    Raises:
        ValueError: if a vector does not fit its model, or a table is unknown.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    left_out = [model for model in models if model not in vector_models]
    for model in left_out:
        say(f"Vectors of {model} are left out: export.vectors is 'bundled' (README.md, Responsible use).")
    for model in vector_models:
        export_vectors(results / model, methods, config=config, out=folder / "vectors" / model)
    written: Written = {}
    for model in models:
        written |= export_circuits(results / model, circuit_methods, out=folder / "circuits" / model)
    for path in tables:
        written |= export_table(path, folder / "tables" / path.relative_to(results))
    provenance = {
        "commit": commit(),
        "code": code,
        "python": platform.python_version(),
        "packages": {name: importlib.metadata.version(name) for name in PACKAGES},
        "models": {model: revision_of(results / model / "model.json") for model in models},
        "vectors_left_out": left_out,
    }
    cited = citation(yaml.safe_load(citation_file.read_text("utf-8")), models=models)
    write_text(folder / "config.yaml", yaml.safe_dump(portable(config), sort_keys=False, allow_unicode=True))
    write_text(folder / "LICENSE", licence.read_text("utf-8"))
    write_text(folder / "CITATION.cff", yaml.safe_dump(cited, sort_keys=False, allow_unicode=True))
    values = {
        "title": cited["title"],
        "models": models,
        "vector_models": vector_models,
        "left_out": left_out,
        "methods": methods,
        "provenance": provenance,
    }
    write_text(folder / "README.md", fill_template(template, values, autoescape=False))
    write_manifest(folder, written, title=cited["title"], provenance=provenance)


def write_manifest(folder: Path, written: Written, *, title: str, provenance: Mapping[str, Any]) -> None:
    """Describe every file of the folder (datapackage.json), and write the checksums of all (SHA256SUMS)."""
    files = [
        describe_file(path, folder, table=table, rows=rows)
        for path in sorted(path for path in folder.rglob("*") if path.is_file())
        for table, rows in [written.get(path, (None, None))]
    ]
    write_json(folder / "datapackage.json", manifest(files, title=title, provenance=provenance))
    write_text(folder / "SHA256SUMS", checksums(folder))


def export_vectors(results: Path, methods: Sequence[str], *, config: Mapping[str, Any], out: Path) -> None:
    """Each method's vector with its card."""
    model, asr = read_json(results / "model.json"), read_table(results / "asr.parquet", ASR)
    for method in methods:
        source = results / method / "vector.safetensors"
        arrays, provenance = read_arrays(source, names=["vector"]), portable(read_provenance(source))
        card = vector_card(
            model,
            read_json(results / method / "vector.json"),
            arrays["vector"],
            coefficients=read_json(results / method / "coefficients.json"),
            asr=asr,
            concept=config["prompts"]["concept"],
            seed=config["seed"],
            max_new_tokens=config["generation"]["max_new_tokens"],
        )
        write_arrays(out / f"{method}.safetensors", arrays, provenance=provenance)
        write_json(out / f"{method}.json", {**card, "provenance": provenance})


def export_circuits(results: Path, methods: Sequence[str], *, out: Path) -> Written:
    """Each method's minimum-faithful circuit as an edge list, with its card."""
    model = read_json(results / "model.json")
    faithfulness = read_table(results / "faithfulness.parquet", FAITHFULNESS)
    written: Written = {}
    for method in methods:
        source = results / method / "rankings.parquet"
        graph = Graph.of(model, layer=read_json(results / method / "vector.json")["layer"])
        ranked = read_table(source, RANKINGS)
        edges, card = minimum_circuit(graph, ranked, faithfulness, method=method)
        provenance = portable(read_provenance(source))
        written |= put_table(out / f"{method}.parquet", edges, TOP_EDGES, provenance=provenance)
        write_json(out / f"{method}.json", {"model": model["name"], **card, "provenance": provenance})
    return written


def export_table(path: Path, out: Path) -> Written:
    """A table as Parquet and as CSV."""
    table = table_of(path, TABLES)
    return put_table(out, read_table(path, table), table, provenance=portable(read_provenance(path)))


def put_table(out: Path, frame: pd.DataFrame, table: Table, *, provenance: Mapping[str, Any]) -> Written:
    """Write both forms of a table."""
    write_table(out, frame, table, provenance=provenance)
    write_csv(out.with_suffix(".csv"), readable(frame))
    return dict.fromkeys([out, out.with_suffix(".csv")], (table, len(frame)))


def write_text(path: Path, text: str) -> None:
    """Write a text file as a whole."""
    with replacing(path) as temporary:
        temporary.write_text(text, "utf-8")


def revision_of(card: Path) -> str:
    """Hub commit of a model, or sha256 of its folder's files."""
    return read_json(card)["revision"]


def commit() -> str:
    """Commit of the repository that writes the folder, marked if files differ from it."""
    run = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
        capture_output=True,
        text=True,
        check=False,
    )
    return run.stdout.strip() or "unknown"


def say(line: str) -> None:
    """A line in the log and on the terminal."""
    logger.info(line)
    print(line, file=sys.stderr)


if "snakemake" in globals():
    with job(snakemake):
        main(
            results=Path("results"),
            models=snakemake.params.models,
            vector_models=snakemake.params.vector_models,
            methods=snakemake.params.methods,
            circuit_methods=snakemake.params.circuit_methods,
            tables=[Path(path) for path in snakemake.input.tables],
            template=Path(snakemake.input.template),
            licence=Path(snakemake.input.licence),
            citation_file=Path(snakemake.input.citation),
            config=snakemake.params.config,
            code=snakemake.params.code,
            folder=Path(snakemake.output.folder),
        )
