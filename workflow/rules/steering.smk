# What does steering do, and at which strength? Needs vectors, responses and verdicts; makes dose-response curves with the coefficient
# of each direction, the tables of attack success and flip rates, and what steering costs on prompts that it should leave alone.


def fixed_coefficients(wildcards):
    """Coefficients that are not ours to choose: published ones, and those that a learned vector is trained at."""
    if wildcards.method in LEARNED:
        return {"induce": 1.0, "bypass": -1.0}
    direction = options(wildcards).direction
    return {"induce": direction.induce, "bypass": direction.bypass} if direction else None


def dim_coefficients(wildcards):
    """A control is used at the coefficients of DIM, whose norm it has."""
    if wildcards.method in CONTROLS:
        return {"dim_coefficients": f"results/{wildcards.model}/dim/coefficients.json"}
    return {}


rule choose_coefficient:
    """steering: Dose-response curve on validation prompts, and the coefficient of each direction."""
    input:
        unpack(dim_coefficients),
        base="results/{model}/none/base/verdicts.parquet",
        steered="results/{model}/{method}/sweep/verdicts.parquet",
    output:
        curve="results/{model}/{method}/dose_response.parquet",
        coefficients="results/{model}/{method}/coefficients.json",
    log:
        "logs/{model}/{method}/choose_coefficient.log",
    benchmark:
        "logs/benchmarks/{model}/{method}/choose_coefficient.jsonl"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        confidence=study.confidence,
        max_degenerate=study.dim.max_degenerate,
        fixed=fixed_coefficients,
        code=code_digest("steering/choose_coefficient"),
    script:
        "../scripts/steering/choose_coefficient.py"


rule measure_side_effects:
    """steering: What each method costs on prompts that it should leave alone, over the coefficients of its curve."""
    input:
        card=rules.resolve_model.output.card,
        vectors=expand("results/{{model}}/{method}/vector.safetensors", method=METHODS),
        vector_cards=expand("results/{{model}}/{method}/vector.json", method=METHODS),
        curves=expand("results/{{model}}/{method}/dose_response.parquet", method=METHODS),
        base_responses=rules.generate_base.output.responses,
    output:
        side_effects=expand("results/{{model}}/{method}/side_effects.parquet", method=METHODS),
    log:
        "logs/{model}/measure_side_effects.log",
    benchmark:
        "logs/benchmarks/{model}/measure_side_effects.jsonl"
    conda:
        "../../envs/environment.yaml"
    threads: study.threads
    resources:
        mem_mb=memory("passes"),
        runtime=duration(40 * len(METHODS)),
        gpu=gpu_of_model,
    params:
        methods=METHODS,
        flip_rate=study.dim.matched_flip_rate,
        confidence=study.confidence,
        seed=study.seed,
        batch_size=study.generation.scored_batch_size,
        code=code_digest("steering/measure_side_effects"),
    script:
        "../scripts/steering/measure_side_effects.py"


rule summarise_steering:
    """steering: Attack success and flip rates on the test prompts, with intervals (Table 2), by both judges, and what bystanders get."""
    input:
        base="results/{model}/none/base/verdicts.parquet",
        steered=expand("results/{{model}}/{method}/test/verdicts.parquet", method=METHODS),
    output:
        asr="results/{model}/asr.parquet",
        judge_agreement="results/{model}/judge_agreement.parquet",
        flips="results/{model}/flips.parquet",
        bystanders="results/{model}/bystanders.parquet",
    log:
        "logs/{model}/summarise_steering.log",
    benchmark:
        "logs/benchmarks/{model}/summarise_steering.jsonl"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        confidence=study.confidence,
        code=code_digest("steering/summarise_steering"),
    script:
        "../scripts/steering/summarise_steering.py"


rule summarise_layers:
    """steering: Attack success and flip rates over the layers that each method steers at."""
    input:
        base="results/{model}/none/base/verdicts.parquet",
        steered=expand("results/{{model}}/{method}/layers/verdicts.parquet", method=METHODS),
    output:
        layers="results/{model}/layers.parquet",
    log:
        "logs/{model}/summarise_layers.log",
    benchmark:
        "logs/benchmarks/{model}/summarise_layers.jsonl"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        confidence=study.confidence,
        code=code_digest("steering/summarise_layers"),
    script:
        "../scripts/steering/summarise_layers.py"


SUMMARY_TABLES = collect(
    [
        rules.summarise_steering.output.asr,
        rules.summarise_steering.output.judge_agreement,
        rules.summarise_steering.output.flips,
        rules.summarise_steering.output.bystanders,
        rules.select_direction.output.candidates,
        rules.compare_vectors.output.cosine,
        rules.summarise_layers.output.layers,
    ],
    model=MODELS,
) + collect(
    [rules.choose_coefficient.output.curve, "results/{model}/{method}/side_effects.parquet"],
    model=MODELS,
    method=METHODS,
)
SUMMARY_TABLES += [rules.measure_judges.output.errors]
