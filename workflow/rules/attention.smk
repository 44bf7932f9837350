# Does steering work through what attention looks at, what it moves, or the MLPs? Needs vectors, coefficients and circuits'
# scores; makes texts under freezing and ablation with their verdicts, and what steering value vectors and neurons write.


rule freeze_attention:
    """attention: Text with attention weights or values held at the base run, or inputs cleared of the vector."""
    input:
        prompts=rules.prepare_prompts.output.prompts,
        card=rules.resolve_model.output.card,
        vector="results/{model}/{method}/vector.safetensors",
        vector_card="results/{model}/{method}/vector.json",
        coefficients="results/{model}/{method}/coefficients.json",
    output:
        responses="results/{model}/{method}/frozen/responses.parquet",
        settings="results/{model}/{method}/frozen/frozen_settings.parquet",
    log:
        "logs/{model}/{method}/freeze_attention.log",
    benchmark:
        "logs/benchmarks/{model}/{method}/freeze_attention.jsonl"
    wildcard_constraints:
        method="|".join(ATTENTION_METHODS),
    conda:
        "../../envs/environment.yaml"
    threads: study.threads
    resources:
        mem_mb=memory("paired_answers"),
        runtime=duration(80),
        gpu=gpu_of_model,
    params:
        sets=study.prompts.behaviour_sets,
        limit=study.attention.prompts,
        ablations=study.attention.ablations,
        decoding=decoding(),
        code=code_digest("attention/freeze_attention"),
    script:
        "../scripts/attention/freeze_attention.py"


rule summarise_ablations:
    """attention: Attack success under each ablation, and what it takes from steering (Table 1)."""
    input:
        verdicts=expand("results/{{model}}/{method}/frozen/verdicts.parquet", method=ATTENTION_METHODS),
        settings=expand("results/{{model}}/{method}/frozen/frozen_settings.parquet", method=ATTENTION_METHODS),
    output:
        ablations="results/{model}/ablations.parquet",
    log:
        "logs/{model}/summarise_ablations.log",
    benchmark:
        "logs/benchmarks/{model}/summarise_ablations.jsonl"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        confidence=study.confidence,
        seed=study.seed,
        code=code_digest("attention/summarise_ablations"),
    script:
        "../scripts/attention/summarise_ablations.py"


rule average_ablations:
    """attention: What ablations take, averaged over models and main test sets, as the paper's headline numbers are."""
    input:
        verdicts=collect(
            "results/{model}/{method}/frozen/verdicts.parquet", model=MODELS, method=ATTENTION_METHODS
        ),
        settings=collect(
            "results/{model}/{method}/frozen/frozen_settings.parquet", model=MODELS, method=ATTENTION_METHODS
        ),
    output:
        means="results/summary/ablation_means.parquet",
    log:
        "logs/average_ablations.log",
    benchmark:
        "logs/benchmarks/average_ablations.jsonl"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        models=MODELS,
        datasets=list(study.prompts.main_sets.values()),
        confidence=study.confidence,
        seed=study.seed,
        code=code_digest("attention/average_ablations"),
    script:
        "../scripts/attention/average_ablations.py"


rule decompose_ov:
    """attention: Steering value vectors and what they explain, their tokens, neurons, and how far attention moves."""
    input:
        **STEERING,
        rankings=rules.build_circuits.output.rankings,
        words="resources/concept_words.yaml",
    output:
        **{
            name: f"results/{{model}}/{{method}}/{name}.parquet"
            for name in ("nodes", "svv_tokens", "svv_concepts", "neurons", "attention_maps")
        },
        vectors="results/{model}/{method}/svv.safetensors",
    log:
        "logs/{model}/{method}/decompose_ov.log",
    benchmark:
        "logs/benchmarks/{model}/{method}/decompose_ov.jsonl"
    wildcard_constraints:
        method="|".join(CIRCUIT_METHODS),
    conda:
        "../../envs/environment.yaml"
    threads: study.threads
    resources:
        mem_mb=memory("backward"),
        runtime=duration(40),
        gpu=gpu_of_model,
    params:
        datasets=study.prompts.main_sets,
        limit=study.circuits.responses,
        rule=study.circuits.quadrature,
        steps=study.circuits.steps,
        budget={
            "tokens_per_pass": study.circuits.tokens_per_pass,
            "max_values": study.circuits.max_values,
        },
        top_heads=study.attention.top_heads,
        top_tokens=study.attention.top_tokens,
        neurons=study.attention.neurons,
        maps=study.attention.maps,
        code=code_digest("attention/decompose_ov"),
    script:
        "../scripts/attention/decompose_ov.py"


rule join_decompositions:
    """attention: The methods' tables of nodes, tokens, concept scores, neurons and attention maps as one of each a model."""
    input:
        **{
            name: expand(f"results/{{{{model}}}}/{{method}}/{name}.parquet", method=CIRCUIT_METHODS)
            for name in ("nodes", "svv_tokens", "svv_concepts", "neurons", "attention_maps")
        },
    output:
        **{
            name: f"results/{{model}}/{name}.parquet"
            for name in ("nodes", "svv_tokens", "svv_concepts", "neurons", "attention_maps")
        },
    log:
        "logs/{model}/join_decompositions.log",
    benchmark:
        "logs/benchmarks/{model}/join_decompositions.jsonl"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=code_digest("attention/join_decompositions"),
    script:
        "../scripts/attention/join_decompositions.py"


ATTENTION_TABLES = collect(
    [rules.summarise_ablations.output.ablations, *rules.join_decompositions.output], model=MODELS
) + [rules.average_ablations.output.means]
