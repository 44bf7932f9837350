# Which prompts does the study use? Needs the bundled sets, a public source or files of the user's; makes one
# table of prompts with splits, checked for overlap.
from steering_study.store.yaml_files import read_yaml

PUBLIC_SETS = {entry["name"]: entry for entry in read_yaml(Path("resources/prompts/public.yaml"))}
BUNDLED_SETS = {
    "harmful": "harmful",
    "harmless": "harmless",
    "borderline_safe": "harmless",
    "borderline_harmful": "harmful",
    "ood": "harmful",
    "borderline_safe_validation": "harmless",  # for choosing among bundled models, config/candidates.yaml
    "borderline_harmful_validation": "harmful",
    "ood_validation": "harmful",
}  # file stem -> label


def bundled_source(stem, label):
    """How a bundled file is read."""
    return {
        "name": stem,
        "text": "text",
        "label_column": "label",
        "label_values": {label: label},
        "split_column": "split",
        "id_column": "id",
        "licence": "MIT",
    }


def prompt_files():
    """Raw files of the configured source, and how each is read."""
    if study.prompts.source == "bundled":
        files = [f"resources/prompts/bundled/{stem}.csv" for stem in BUNDLED_SETS]
        return files, [bundled_source(stem, label) for stem, label in BUNDLED_SETS.items()]
    if study.prompts.source == "public":
        return [f"results/prompts/raw/{name}.json" for name in PUBLIC_SETS], list(PUBLIC_SETS.values())
    return [entry["path"] for entry in study.prompts.files], list(study.prompts.files)


RAW_FILES, PROMPT_SOURCES = prompt_files()


rule fetch_prompts:
    """prompts: One public prompt set: from the mirror or its pinned URL, checked by sha256."""
    output:
        raw="results/prompts/raw/{public_set}.json",
    log:
        "logs/fetch_prompts/{public_set}.log",
    benchmark:
        "logs/benchmarks/fetch_prompts/{public_set}.jsonl"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=800,
        runtime=10,
    params:
        file=lambda wildcards: PUBLIC_SETS[wildcards.public_set]["file"],
        url=lambda wildcards: PUBLIC_SETS[wildcards.public_set]["url"],
        sha256=lambda wildcards: PUBLIC_SETS[wildcards.public_set]["sha256"],
        n_bytes=lambda wildcards: PUBLIC_SETS[wildcards.public_set]["bytes"],
        mirror=study.prompts.mirror,
        code=code_digest("prompts/fetch_prompts"),
    script:
        "../scripts/prompts/fetch_prompts.py"


rule prepare_prompts:
    """prompts: The table of prompts: sampled, split, and no test prompt in training."""
    input:
        raw=RAW_FILES,
    output:
        prompts="results/prompts/prompts.parquet",
        summary="results/prompts/prompts.json",
    log:
        "logs/prepare_prompts.log",
    benchmark:
        "logs/benchmarks/prepare_prompts.jsonl"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        kind=study.prompts.source,
        sources=PROMPT_SOURCES,
        concept=study.prompts.concept,
        sizes=study.prompts.sizes,
        test_sizes=study.prompts.test_sizes,
        seed=study.seed,
        code=code_digest("prompts/prepare_prompts"),
    script:
        "../scripts/prompts/prepare_prompts.py"
