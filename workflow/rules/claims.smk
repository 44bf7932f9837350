# Which claims of the paper hold here? Needs the summary tables of those parts of the study that the config asks for; makes a
# value and a verdict a claim, by the criteria of resources/paper/claims.csv.

CLAIMS = "resources/paper/claims.csv"
CLAIM_SOURCES = ["asr", "cosine"]
if CIRCUIT_METHODS:
    CLAIM_SOURCES += ["faithfulness", "overlap", "edge_census", "edge_shares", "completeness"]
    CLAIM_SOURCES += ["svv_concepts", "svv_tokens"]
if ATTENTION_METHODS:
    CLAIM_SOURCES += ["ablations"]
if SPARSE_METHODS:
    CLAIM_SOURCES += ["retention", "iou"]


rule judge_claims:
    """claims: What a model says of each claim of the paper: a number, its interval and a verdict by the claim's criterion."""
    input:
        **{name: f"results/{{model}}/{name}.parquet" for name in CLAIM_SOURCES},
        listed=CLAIMS,
    output:
        claims="results/{model}/claims.parquet",
    log:
        "logs/{model}/judge_claims.log",
    benchmark:
        "logs/benchmarks/{model}/judge_claims.jsonl"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        tables=CLAIM_SOURCES,
        main_sets=study.prompts.main_sets,
        unseen_sets=study.prompts.unseen_sets,
        confidence=study.confidence,
        seed=study.seed,
        code=code_digest("claims/judge_claims"),
    script:
        "../scripts/claims/judge_claims.py"


rule average_claims:
    """claims: Each claim on average of models, and the verdict that all of them share."""
    input:
        claims=collect(rules.judge_claims.output.claims, model=MODELS),
        ablations=rules.average_ablations.output.means if ATTENTION_METHODS else [],
    output:
        means="results/summary/claim_means.parquet",
    log:
        "logs/average_claims.log",
    benchmark:
        "logs/benchmarks/average_claims.jsonl"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        models=MODELS,
        code=code_digest("claims/average_claims"),
    script:
        "../scripts/claims/average_claims.py"


CLAIM_TABLES = [*collect(rules.judge_claims.output.claims, model=MODELS), rules.average_claims.output.means]
