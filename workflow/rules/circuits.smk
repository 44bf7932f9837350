# Which edges carry steering? Needs vectors, and the steered and unsteered responses to test prompts with their
# verdicts; makes edge scores, circuits, their faithfulness, exact interchange, and text under a circuit.

# What a model answers with and without a method's vector
STEERING = {
    "card": "results/{model}/model.json",
    "vector": "results/{model}/{method}/vector.safetensors",
    "vector_card": "results/{model}/{method}/vector.json",
    "base_responses": "results/{model}/none/base/responses.parquet",
    "base_verdicts": "results/{model}/none/base/verdicts.parquet",
    "responses": "results/{model}/{method}/test/responses.parquet",
    "verdicts": "results/{model}/{method}/test/verdicts.parquet",
}


def steering_of(methods):
    """`STEERING` of several methods at once: what each has of its own is a list, named in the plural."""
    shared = {name: STEERING[name] for name in ("card", "base_responses", "base_verdicts")}
    own = {
        "vectors": STEERING["vector"],
        "vector_cards": STEERING["vector_card"],
        "responses": STEERING["responses"],
        "verdicts": STEERING["verdicts"],
    }
    return shared | {
        name: expand(path.replace("{model}", "{{model}}"), method=methods) for name, path in own.items()
    }


rule attribute_edges:
    """circuits: EAP-IG scores of every edge, on the responses of prompts that steering flipped."""
    input:
        **STEERING,
    output:
        edge_scores="results/{model}/{method}/edge_scores.safetensors",
        attribution="results/{model}/{method}/attribution.parquet",
    log:
        "logs/{model}/{method}/attribute_edges.log",
    benchmark:
        "logs/benchmarks/{model}/{method}/attribute_edges.jsonl"
    wildcard_constraints:
        method="|".join(CIRCUIT_METHODS),
    conda:
        "../../envs/environment.yaml"
    threads: study.threads
    resources:
        mem_mb=memory("backward"),
        runtime=duration(80),
        gpu=gpu_of_model,
    params:
        datasets=study.prompts.main_sets,
        limit=study.circuits.responses,
        metrics=study.circuits.metrics,
        rule=study.circuits.quadrature,
        steps=study.circuits.steps,
        budget={
            "tokens_per_pass": study.circuits.tokens_per_pass,
            "max_values": study.circuits.max_values,
        },
        code=code_digest("circuits/attribute_edges"),
    script:
        "../scripts/circuits/attribute_edges.py"


rule build_circuits:
    """circuits: Edges in the order in which circuits take them up: pooled, signed, by patching set, by metric, by half."""
    input:
        card=rules.resolve_model.output.card,
        vector_card="results/{model}/{method}/vector.json",
        edge_scores=rules.attribute_edges.output.edge_scores,
        attribution=rules.attribute_edges.output.attribution,
    output:
        rankings="results/{model}/{method}/rankings.parquet",
    log:
        "logs/{model}/{method}/build_circuits.log",
    benchmark:
        "logs/benchmarks/{model}/{method}/build_circuits.jsonl"
    wildcard_constraints:
        method="|".join(CIRCUIT_METHODS),
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=memory_of_scores,
        runtime=20,
    params:
        code=code_digest("circuits/build_circuits"),
    script:
        "../scripts/circuits/build_circuits.py"


rule evaluate_circuits:
    """circuits: Faithfulness runs of a method's circuits and of what stands beside them."""
    input:
        **STEERING,
        rankings=expand("results/{{model}}/{method}/rankings.parquet", method=CIRCUIT_METHODS),
    output:
        circuit_runs="results/{model}/{method}/circuit_runs.parquet",
    log:
        "logs/{model}/{method}/evaluate_circuits.log",
    benchmark:
        "logs/benchmarks/{model}/{method}/evaluate_circuits.jsonl"
    wildcard_constraints:
        method="|".join(CIRCUIT_METHODS),
    conda:
        "../../envs/environment.yaml"
    threads: study.threads
    resources:
        mem_mb=memory("circuits"),
        runtime=duration(80),
        gpu=gpu_of_model,
    params:
        methods=CIRCUIT_METHODS,
        datasets=study.prompts.main_sets,
        limit=study.circuits.responses,
        step=lambda wildcards: options(wildcards).circuit_step,
        sizes_percent=study.circuits.sizes_percent,
        threshold=study.circuits.faithful,
        draws=study.circuits.random_draws,
        seed=study.seed,
        batch_size=study.generation.scored_batch_size,
        max_values=study.circuits.max_values,
        code=code_digest("circuits/evaluate_circuits"),
    script:
        "../scripts/circuits/evaluate_circuits.py"


rule interchange_edges:
    """circuits: Exact effects of single edges and of all edges into a kind, beside their scores; all methods, as a start takes as long as a method."""
    input:
        **steering_of(CIRCUIT_METHODS),
        edge_scores=expand("results/{{model}}/{method}/edge_scores.safetensors", method=CIRCUIT_METHODS),
    output:
        interchange="results/{model}/interchange.parquet",
    log:
        "logs/{model}/interchange_edges.log",
    benchmark:
        "logs/benchmarks/{model}/interchange_edges.jsonl"
    conda:
        "../../envs/environment.yaml"
    threads: study.threads
    resources:
        mem_mb=memory("circuits"),
        runtime=duration(80 * len(CIRCUIT_METHODS)),
        gpu=gpu_of_model,
    params:
        methods=CIRCUIT_METHODS,
        datasets=study.prompts.main_sets,
        limit=study.circuits.responses,
        n_responses=study.circuits.interchange["responses"],
        edges_per_kind=study.circuits.interchange["edges_per_kind"],
        seed=study.seed,
        batch_size=study.generation.scored_batch_size,
        max_values=study.circuits.max_values,
        code=code_digest("circuits/interchange_edges"),
    script:
        "../scripts/circuits/interchange_edges.py"


rule generate_circuits:
    """circuits: Text when a method's minimum-faithful circuit alone carries steering, and when its complement alone does; all methods."""
    input:
        prompts=rules.prepare_prompts.output.prompts,
        card=rules.resolve_model.output.card,
        vectors=expand("results/{{model}}/{method}/vector.safetensors", method=CIRCUIT_METHODS),
        vector_cards=expand("results/{{model}}/{method}/vector.json", method=CIRCUIT_METHODS),
        coefficients=expand("results/{{model}}/{method}/coefficients.json", method=CIRCUIT_METHODS),
        rankings=expand("results/{{model}}/{method}/rankings.parquet", method=CIRCUIT_METHODS),
        circuit_runs=expand("results/{{model}}/{method}/circuit_runs.parquet", method=CIRCUIT_METHODS),
    output:
        circuit=expand("results/{{model}}/{method}/circuit/responses.parquet", method=CIRCUIT_METHODS),
        complement=expand("results/{{model}}/{method}/complement/responses.parquet", method=CIRCUIT_METHODS),
    log:
        "logs/{model}/generate_circuits.log",
    benchmark:
        "logs/benchmarks/{model}/generate_circuits.jsonl"
    conda:
        "../../envs/environment.yaml"
    threads: study.threads
    resources:
        mem_mb=memory("paired_answers"),
        runtime=duration(80 * len(CIRCUIT_METHODS)),
        gpu=gpu_of_model,
    params:
        methods=CIRCUIT_METHODS,
        datasets=study.prompts.main_sets,
        limit=study.circuits.prompts,
        threshold=study.circuits.faithful,
        decoding=decoding(),
        code=code_digest("circuits/generate_circuits"),
    script:
        "../scripts/circuits/generate_circuits.py"


rule summarise_circuits:
    """circuits: Faithfulness, completeness, kinds of edges, overlap and exact interchange of a model's circuits."""
    input:
        card=rules.resolve_model.output.card,
        vector_card="results/{model}/dim/vector.json",
        attribution=expand("results/{{model}}/{method}/attribution.parquet", method=CIRCUIT_METHODS),
        rankings=expand("results/{{model}}/{method}/rankings.parquet", method=CIRCUIT_METHODS),
        circuit_runs=expand("results/{{model}}/{method}/circuit_runs.parquet", method=CIRCUIT_METHODS),
        interchange=rules.interchange_edges.output.interchange,
    output:
        completeness="results/{model}/completeness.parquet",
        faithfulness="results/{model}/faithfulness.parquet",
        edge_census="results/{model}/edge_census.parquet",
        edge_shares="results/{model}/edge_shares.parquet",
        top_edges="results/{model}/top_edges.parquet",
        overlap="results/{model}/overlap.parquet",
        interchange_fit="results/{model}/interchange_fit.parquet",
    log:
        "logs/{model}/summarise_circuits.log",
    benchmark:
        "logs/benchmarks/{model}/summarise_circuits.jsonl"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=2000,
        runtime=20,
    params:
        methods=CIRCUIT_METHODS,
        step=lambda wildcards: options(wildcards).circuit_step,
        sizes_percent=study.circuits.sizes_percent,
        threshold=study.circuits.faithful,
        n_top=lambda wildcards: options(wildcards).top_edges,
        n_drawn=study.circuits.drawn_edges,
        confidence=study.confidence,
        seed=study.seed,
        code=code_digest("circuits/summarise_circuits"),
    script:
        "../scripts/circuits/summarise_circuits.py"


rule summarise_circuit_text:
    """circuits: Attack success when nothing, the circuit alone, its complement alone, or everything is steered."""
    input:
        card=rules.resolve_model.output.card,
        vector_card="results/{model}/dim/vector.json",
        faithfulness=rules.summarise_circuits.output.faithfulness,
        base="results/{model}/none/base/verdicts.parquet",
        circuit=expand("results/{{model}}/{method}/circuit/verdicts.parquet", method=CIRCUIT_METHODS),
        complement=expand("results/{{model}}/{method}/complement/verdicts.parquet", method=CIRCUIT_METHODS),
        steered=expand("results/{{model}}/{method}/test/verdicts.parquet", method=CIRCUIT_METHODS),
    output:
        circuit_asr="results/{model}/circuit_asr.parquet",
    log:
        "logs/{model}/summarise_circuit_text.log",
    benchmark:
        "logs/benchmarks/{model}/summarise_circuit_text.jsonl"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        methods=CIRCUIT_METHODS,
        confidence=study.confidence,
        code=code_digest("circuits/summarise_circuit_text"),
    script:
        "../scripts/circuits/summarise_circuit_text.py"


CIRCUIT_TABLES = collect(
    [
        *rules.summarise_circuits.output,
        rules.interchange_edges.output.interchange,
        rules.summarise_circuit_text.output.circuit_asr,
    ],
    model=MODELS,
)
