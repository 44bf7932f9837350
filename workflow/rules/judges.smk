# Does a text refuse, loop, or make no sense? Needs responses; makes a verdict on each, and says how often the judges are wrong
# on texts whose kind is known.
from steering_study.judges.registry import EMBEDDED

# Judges that are models, with their entries in the config: those in use, and those whose error is measured
CLASSIFIERS, TESTED_CLASSIFIERS = (
    {name: study.judges.classifiers.get(name, {}) for name in names if name not in EMBEDDED}
    for names in (study.judges.in_use, study.judges.tested)
)
OWN_JUDGES = sorted(map(str, Path("workflow/steering_study/judges/kinds").glob("*.py")))  # loaded by name


rule judge_responses:
    """judges: Verdicts on responses: refused or not, looping, readable."""
    input:
        responses="results/{model}/{method}/{run}/responses.parquet",
        phrases="resources/refusal_phrases.yaml",
        weights="resources/judges/declines.csv",
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
        second=study.judges.second,
        classifiers=study.judges.classifiers,
        max_repetition=study.judges.max_repetition,
        max_improbable=study.judges.max_improbable,
        code=code_digest("judges/judge_responses"),
    script:
        "../scripts/judges/judge_responses.py"


rule label_texts:
    """judges: Texts whose kind is known: a user's file of labels, or texts of the bundled models' corpus."""
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
        code=code_digest("judges/label_texts"),
    script:
        "../scripts/judges/label_texts.py"


rule measure_judges:
    """judges: How often each judge is wrong on labelled texts: the phrases, and every classifier that the config names."""
    input:
        labelled=rules.label_texts.output.labelled,
        phrases="resources/refusal_phrases.yaml",
        weights="resources/judges/declines.csv",
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
        code=code_digest("judges/measure_judges"),
    script:
        "../scripts/judges/measure_judges.py"


LABELLED_SETS = read_yaml(Path("resources/judges/labelled.yaml"))
LABELLED_FILES = [f"results/judges/raw/{entry['file']}" for entry in LABELLED_SETS]


rule fetch_labelled:
    """judges: Labelled completions that the judge `declines` is trained on: from the mirror or their pinned URLs, checked by sha256."""
    output:
        raw=LABELLED_FILES,
    log:
        "logs/fetch_labelled.log",
    benchmark:
        "logs/benchmarks/fetch_labelled.jsonl"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=800,
        runtime=20,
    params:
        entries=LABELLED_SETS,
        mirror=study.prompts.mirror,
        code=code_digest("judges/fetch_labelled"),
    script:
        "../scripts/judges/fetch_labelled.py"


rule train_declines:
    """judges: Fit the judge `declines` anew, and measure its error on models left out; the committed weights are resources/judges/declines.csv."""
    input:
        raw=rules.fetch_labelled.output.raw,
        own="resources/judges/own_texts.yaml",
        phrases="resources/refusal_phrases.yaml",
    output:
        weights="results/judges/declines.csv",
        errors="results/judges/declines_errors.parquet",
    log:
        "logs/train_declines.log",
    benchmark:
        "logs/benchmarks/train_declines.jsonl"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=2000,
        runtime=20,
    params:
        entries=LABELLED_SETS,
        confidence=study.confidence,
        seed=study.seed,
        code=code_digest("judges/train_declines"),
    script:
        "../scripts/judges/train_declines.py"
