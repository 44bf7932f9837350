# What does steering do? Needs vectors and prompts; makes steered responses, verdicts on all responses, and the
# tables of attack success and flip rates. Beside them, how often the judges are wrong on labelled texts.


rule generate_steered:
    """Steered responses: validation prompts over the grid of coefficients (sweep) or test prompts at the chosen ones (test), and validation prompts steered at every layer of the sweep over depth, at the chosen ones (layers) or over the grid (windows)."""
    input:
        unpack(steering_vectors),
        unpack(chosen_coefficients),
        prompts=rules.prepare_prompts.output.prompts,
        card=rules.resolve_model.output.card,
    output:
        responses="results/{model}/{method}/{run}/responses.parquet",
    log:
        "logs/{model}/{method}/{run}/generate_steered.log",
    benchmark:
        "logs/benchmarks/{model}/{method}/{run}/generate_steered.jsonl"
    wildcard_constraints:
        method="|".join(METHODS),
        run="sweep|test|layers|windows",
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=memory("answers"),
        runtime=duration(80),
        gpu=gpu_of_model,
    params:
        split=lambda wildcards: "test" if wildcards.run == "test" else "validation",
        coefficients=swept_coefficients,
        contexts=lambda wildcards: options(wildcards).contexts,
        max_new_tokens=study.generation.max_new_tokens,
        batch_size=study.generation.batch_size,
        scored_batch_size=study.generation.scored_batch_size,
        code=code_digest("generate_steered"),
    script:
        "../scripts/generate_steered.py"


rule judge_responses:
    """Verdicts on responses: refused or not, looping, readable."""
    input:
        unpack(unsteered_verdicts),
        responses="results/{model}/{method}/{run}/responses.parquet",
        phrases="resources/refusal_phrases.yaml",
        own=OWN_JUDGES,
    output:
        verdicts="results/{model}/{method}/{run}/verdicts.parquet",
    log:
        "logs/{model}/{method}/{run}/judge_responses.log",
    benchmark:
        "logs/benchmarks/{model}/{method}/{run}/judge_responses.jsonl"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=memory_of_judges(CLASSIFIERS),
        runtime=120,
        gpu=JUDGE_GPU if CLASSIFIERS else 0,
    params:
        judges={"harmful": study.judges.harmful, "harmless": study.judges.harmless},
        classifiers=study.judges.classifiers,
        max_repetition=study.judges.max_repetition,
        quantile=study.judges.fluency_quantile,
        code=code_digest("judge_responses"),
    script:
        "../scripts/judge_responses.py"


rule label_texts:
    """Texts whose kind is known: a user's file of labels, or texts of the bundled models' corpus."""
    input:
        labels=study.judges.labels or [],
        data=POCKET_DATA,
    output:
        labelled="results/judges/labelled_texts.parquet",
    log:
        "logs/label_texts.log",
    benchmark:
        "logs/benchmarks/label_texts.jsonl"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        is_bundled=bool(study.bundled_models),
        n_prompts=study.judges.label_prompts,
        seed=study.seed,
        code=code_digest("label_texts"),
    script:
        "../scripts/label_texts.py"


rule measure_judges:
    """How often each judge is wrong on labelled texts: the phrases, and every classifier that the config names."""
    input:
        labelled=rules.label_texts.output.labelled,
        phrases="resources/refusal_phrases.yaml",
        own=OWN_JUDGES,
    output:
        verdicts="results/judges/labelled_verdicts.parquet",
        errors="results/summary/judge_errors.parquet",
    log:
        "logs/measure_judges.log",
    benchmark:
        "logs/benchmarks/measure_judges.jsonl"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=memory_of_judges(TESTED_CLASSIFIERS),
        runtime=120,
        gpu=JUDGE_GPU if TESTED_CLASSIFIERS else 0,
    params:
        judges=study.judges.tested,
        classifiers=study.judges.classifiers,
        confidence=study.confidence,
        code=code_digest("measure_judges"),
    script:
        "../scripts/measure_judges.py"


rule measure_side_effects:
    """What each method costs on prompts that it should leave alone, over the coefficients of its curve."""
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
        code=code_digest("measure_side_effects"),
    script:
        "../scripts/measure_side_effects.py"


rule summarise_steering:
    """Attack success and flip rates on the test prompts, with intervals (Table 2), and what bystanders get."""
    input:
        base="results/{model}/none/base/verdicts.parquet",
        steered=expand("results/{{model}}/{method}/test/verdicts.parquet", method=METHODS),
    output:
        asr="results/{model}/asr.parquet",
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
        code=code_digest("summarise_steering"),
    script:
        "../scripts/summarise_steering.py"


rule summarise_layers:
    """Attack success and flip rates over the layers that each method steers at."""
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
        code=code_digest("summarise_layers"),
    script:
        "../scripts/summarise_layers.py"


rule check_results:
    """Tests of the results: what must hold between the tables, whatever the numbers are."""
    input:
        SECTION_TABLES,
        "results/prompts/prompts.parquet",
        collect(
            "results/{model}/{table}.parquet", model=MODELS, table=["asr", "flips", "candidates", "layers"]
        ),
        collect("results/{model}/class_means.safetensors", model=MODELS),
        collect("results/{model}/none/base/verdicts.parquet", model=MODELS),
        collect(
            "results/{model}/{method}/{run}/verdicts.parquet",
            model=MODELS,
            method=METHODS,
            run=["sweep", "test"],
        ),
        collect("results/{model}/{method}/coefficients.json", model=MODELS, method=METHODS),
        collect("results/{model}/{method}/training.parquet", model=MODELS, method=LEARNED),
        collect(
            "results/{model}/{table}.parquet",
            model=MODELS,
            table=["faithfulness", "edge_census", "edge_shares", "circuit_asr"],
        ),
        collect(
            "results/{model}/{method}/{table}.parquet",
            model=MODELS,
            method=CIRCUIT_METHODS,
            table=["circuit_runs", "rankings", "attribution"],
        ),
        collect(
            "results/{model}/{table}.parquet",
            model=MODELS,
            table=["ablations", "nodes", "svv_tokens", "svv_concepts"],
        ),
        collect(
            "results/{model}/{method}/frozen/{table}.parquet",
            model=MODELS,
            method=ATTENTION_METHODS,
            table=["responses", "settings"],
        ),
        collect(
            "results/{model}/{table}.parquet",
            model=MODELS,
            table=[
                "sparsity",
                "retention",
                "sparsity_kl",
                "sparse_faithfulness",
                "iou",
                "shared_dimensions",
            ],
        ),
        collect(
            "results/{model}/{method}/sparse/{table}.parquet",
            model=MODELS,
            method=SPARSE_METHODS,
            table=["verdicts", "settings"],
        ),
        collect("results/{model}/claims.parquet", model=MODELS),
        "results/summary/claims.parquet",
        rules.label_texts.output.labelled,
        rules.measure_judges.output,
        CLAIMS,
        "resources/refusal_phrases.yaml",
        "results/export",
        tests=RESULT_TESTS,
    output:
        outcome="results/checks.json",
    log:
        "logs/check_results.log",
    benchmark:
        "logs/benchmarks/check_results.jsonl"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=3000,
        runtime=10,
    params:
        tests=lambda wildcards, input: str(Path(input.tests[0]).parent),
        models=MODELS,
        methods=METHODS,
        circuit_methods=CIRCUIT_METHODS,
        attention_methods=ATTENTION_METHODS,
        sparse_methods=SPARSE_METHODS,
        code=code_digest("check_results"),
    script:
        "../scripts/check_results.py"


SUMMARY_TABLES = collect(
    [
        rules.summarise_steering.output.asr,
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
