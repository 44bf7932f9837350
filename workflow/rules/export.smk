# What of the study can others use? Needs the vectors, circuits and tables that the config asks for; makes results/export/, a folder
# fit for an archive (docs/export.md).

# Attention maps show tokens of prompts, which have licences of their own.
EXPORTED_TABLES = [
    path
    for path in [*SUMMARY_TABLES, *CIRCUIT_TABLES, *ATTENTION_TABLES, *SPARSITY_TABLES, *CLAIM_TABLES]
    if Path(path).stem != "attention_maps"
] + collect("results/{model}/{method}/test/verdicts.parquet", model=MODELS, method=METHODS)


rule write_export:
    """export: The folder for others: vectors with cards, circuits as edge lists, tables, citation, licence, manifest."""
    input:
        collect(rules.resolve_model.output.card, model=MODELS),
        collect(
            "results/{model}/{method}/{file}",
            model=MODELS,
            method=METHODS,
            file=["vector.safetensors", "vector.json", "coefficients.json"],
        ),
        collect(rules.build_circuits.output.rankings, model=MODELS, method=CIRCUIT_METHODS),
        tables=EXPORTED_TABLES,
        template="workflow/report/export.md.j2",
        lines="workflow/report/steer.py.j2",
        licence="LICENSE",
        citation="CITATION.cff",
    output:
        folder=directory("results/export"),
    log:
        "logs/write_export.log",
    benchmark:
        "logs/benchmarks/write_export.jsonl"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        models=MODELS,
        vector_models=study.vector_models,
        methods=METHODS,
        circuit_methods=CIRCUIT_METHODS,
        config=config,
        code=code_digest("export/write_export"),
    script:
        "../scripts/export/write_export.py"


rule export:
    """export: Data for others: results/export/, a folder fit for an archive."""
    input:
        rules.write_export.output.folder,
