# How few dimensions of a vector does steering need, and which do the methods share? Needs vectors, coefficients and the
# dimension scores of attribution; makes texts under sparse vectors with their verdicts, and what sparse vectors act through.

SPARSE_INPUTS = {
    "vectors": expand("results/{{model}}/{method}/vector.safetensors", method=SPARSE_METHODS),
    "edge_scores": expand("results/{{model}}/{method}/edge_scores.safetensors", method=SPARSE_METHODS),
    "attribution": expand("results/{{model}}/{method}/attribution.parquet", method=SPARSE_METHODS),
}
SPARSE_SUMMARIES = (
    "sparsity",
    "retention",
    "sparsity_kl",
    "sparse_faithfulness",
    "iou",
    "shared_dimensions",
)
SPARSE_MEASUREMENTS = ("sparse_kl", "sparse_runs", "shared_tokens")


def sparse_sweep(wildcards):
    """The test run waits for the verdicts by which retuned coefficients are chosen."""
    if wildcards.run == "sparse_sweep":
        return {}
    sweeps = {
        f"sweep_{name}": [
            f"results/{wildcards.model}/{method}/sparse_sweep/{name}.parquet" for method in SPARSE_METHODS
        ]
        for name in ("sparse_settings", "verdicts")
    }
    return {**sweeps, "base_verdicts": f"results/{wildcards.model}/none/base/verdicts.parquet"}


rule generate_sparse:
    """sparsity: Text under all methods' sparse vectors: retuned ones on validation prompts (sparse_sweep), or all of them on test prompts (sparse)."""
    input:
        unpack(sparse_sweep),
        **SPARSE_INPUTS,
        prompts=rules.prepare_prompts.output.prompts,
        card=rules.resolve_model.output.card,
        vector_cards=expand("results/{{model}}/{method}/vector.json", method=SPARSE_METHODS),
        coefficients=expand("results/{{model}}/{method}/coefficients.json", method=SPARSE_METHODS),
    output:
        responses=expand("results/{{model}}/{method}/{{run}}/responses.parquet", method=SPARSE_METHODS),
        settings=expand("results/{{model}}/{method}/{{run}}/sparse_settings.parquet", method=SPARSE_METHODS),
    log:
        "logs/{model}/{run}/generate_sparse.log",
    benchmark:
        "logs/benchmarks/{model}/{run}/generate_sparse.jsonl"
    wildcard_constraints:
        run="sparse_sweep|sparse",
    conda:
        "../../envs/environment.yaml"
    threads: study.threads
    resources:
        mem_mb=memory("sparse_answers"),
        runtime=duration(80 * len(SPARSE_METHODS)),
        gpu=gpu_of_model,
    params:
        methods=SPARSE_METHODS,
        sets=study.prompts.behaviour_sets,
        main_sets=list(study.prompts.main_sets.values()),
        limit=study.sparsity.prompts,
        percents=study.sparsity.percents,
        thresholds=study.sparsity.thresholds,
        dropout=study.sparsity.dropout,
        variants=study.sparsity.variants,
        shared_percents=study.sparsity.shared_percents,
        max_degenerate=study.dim.max_degenerate,
        confidence=study.confidence,
        seed=study.seed,
        decoding=decoding(max_new_tokens=study.sparsity.max_new_tokens),
        code=code_digest("sparsity/generate_sparse"),
    script:
        "../scripts/sparsity/generate_sparse.py"


rule measure_sparse:
    """sparsity: KL of sparse vectors to the dense ones, the dense vectors' circuits under them, and what shared dimensions write."""
    input:
        **steering_of(SPARSE_METHODS),
        edge_scores=SPARSE_INPUTS["edge_scores"],
        attribution=SPARSE_INPUTS["attribution"],
        rankings=expand("results/{{model}}/{method}/rankings.parquet", method=SPARSE_METHODS),
        words="resources/concept_words.yaml",
    output:
        **{name: f"results/{{model}}/{name}.parquet" for name in SPARSE_MEASUREMENTS},
    log:
        "logs/{model}/measure_sparse.log",
    benchmark:
        "logs/benchmarks/{model}/measure_sparse.jsonl"
    conda:
        "../../envs/environment.yaml"
    threads: study.threads
    resources:
        mem_mb=memory("circuits"),
        runtime=duration(80 * len(SPARSE_METHODS)),
        gpu=gpu_of_model,
    params:
        methods=SPARSE_METHODS,
        datasets=study.prompts.main_sets,
        percents=study.sparsity.percents,
        thresholds=study.sparsity.thresholds,
        draws=study.sparsity.dropout["draws"],
        shared_percents=study.sparsity.shared_percents,
        circuits=study.sparsity.circuits,
        kl_prompts=study.sparsity.kl_prompts,
        top_tokens=study.sparsity.top_tokens,
        step=lambda wildcards: options(wildcards).circuit_step,
        sizes_percent=study.circuits.sizes_percent,
        batch_size=study.generation.scored_batch_size,
        max_values=study.circuits.max_values,
        seed=study.seed,
        code=code_digest("sparsity/measure_sparse"),
    script:
        "../scripts/sparsity/measure_sparse.py"


rule summarise_sparsity:
    """sparsity: What is left at each sparsity (Tables 10, 11), how long it lasts, and which dimensions methods share (Figure 11)."""
    input:
        **SPARSE_INPUTS,
        card=rules.resolve_model.output.card,
        base="results/{model}/none/base/verdicts.parquet",
        verdicts=expand("results/{{model}}/{method}/sparse/verdicts.parquet", method=SPARSE_METHODS),
        sparse_settings=expand(
            "results/{{model}}/{method}/sparse/sparse_settings.parquet", method=SPARSE_METHODS
        ),
        sparse_kl=rules.measure_sparse.output.sparse_kl,
        sparse_runs=rules.measure_sparse.output.sparse_runs,
    output:
        **{name: f"results/{{model}}/{name}.parquet" for name in SPARSE_SUMMARIES},
    log:
        "logs/{model}/summarise_sparsity.log",
    benchmark:
        "logs/benchmarks/{model}/summarise_sparsity.jsonl"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        methods=SPARSE_METHODS,
        main_sets=list(study.prompts.main_sets.values()),
        shared_percents=study.sparsity.shared_percents,
        retained=study.sparsity.retained,
        confidence=study.confidence,
        seed=study.seed,
        code=code_digest("sparsity/summarise_sparsity"),
    script:
        "../scripts/sparsity/summarise_sparsity.py"


SPARSITY_TABLES = collect(
    "results/{model}/{name}.parquet", name=[*SPARSE_SUMMARIES, "shared_tokens"], model=MODELS
)
