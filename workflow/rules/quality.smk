# How well does a model serve this study? Needs texts, verdicts and summary tables; makes each measure beside the target of the
# bundled models, on request only: `candidate_quality` on validation prompts, to choose by, `model_quality` on test prompts as well.

QUALITY_SUMMARIES = ["asr", "flips", "completeness", "ablations"]


rule candidate_quality:
    """quality: Measures of every model on validation prompts: refusal, perplexity, and windows of DIM at the layers of the sweep."""
    input:
        "results/summary/candidate_quality.csv",


rule model_quality:
    """quality: Measures of every model on validation and on test prompts: what steering does, controls, completeness, ablations."""
    input:
        "results/summary/candidate_quality.csv",
        "results/summary/quality.csv",


rule score_candidate:
    """quality: Refusal, perplexity and steering windows of a model; no test prompt counts."""
    input:
        base_responses="results/{model}/none/base/responses.parquet",
        base_verdicts="results/{model}/none/base/verdicts.parquet",
        vector_card="results/{model}/dim/vector.json",
        steered="results/{model}/dim/windows/verdicts.parquet",
    output:
        windows="results/{model}/windows.parquet",
        quality="results/{model}/candidate_quality.parquet",
    log:
        "logs/{model}/score_candidate.log",
    benchmark:
        "logs/benchmarks/{model}/score_candidate.jsonl"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        confidence=study.confidence,
        code=code_digest("quality/score_candidate"),
    script:
        "../scripts/quality/score_candidate.py"


rule score_model:
    """quality: What a model makes of the study on test prompts, beside the targets of the bundled models."""
    input:
        **{name: f"results/{{model}}/{name}.parquet" for name in QUALITY_SUMMARIES},
        base_responses="results/{model}/none/base/responses.parquet",
        base_verdicts="results/{model}/none/base/verdicts.parquet",
        curves=expand("results/{{model}}/{method}/dose_response.parquet", method=CIRCUIT_METHODS),
    output:
        quality="results/{model}/quality.parquet",
    log:
        "logs/{model}/score_model.log",
    benchmark:
        "logs/benchmarks/{model}/score_model.jsonl"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        main_sets=study.prompts.main_sets,
        controls=CONTROLS,
        confidence=study.confidence,
        code=code_digest("quality/score_model"),
    script:
        "../scripts/quality/score_model.py"


rule write_quality:
    """quality: The measures of all models in one file to read."""
    input:
        collect("results/{model}/{{name}}.parquet", model=MODELS),
    output:
        "results/summary/{name}.csv",
    log:
        "logs/write_{name}.log",
    benchmark:
        "logs/benchmarks/write_{name}.jsonl"
    wildcard_constraints:
        name="candidate_quality|quality",
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=code_digest("quality/write_quality"),
    script:
        "../scripts/quality/write_quality.py"
