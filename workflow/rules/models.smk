# Which model exactly, and what does it say unsteered? Needs a local folder or a hub id; makes the model's card
# and its base responses.


rule resolve_model:
    """Card of a model: revision, shapes, template, end-of-turn ids, post-instruction span."""
    input:
        folder_files,
    output:
        card="results/{model}/model.json",
    log:
        "logs/{model}/resolve_model.log",
    benchmark:
        "logs/benchmarks/{model}/resolve_model.jsonl"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        source=lambda wildcards: options(wildcards).source,
        revision=lambda wildcards: options(wildcards).revision,
        dtype=lambda wildcards: options(wildcards).dtype,
        template=study.prompts.template,
        code=code_digest("resolve_model"),
    script:
        "../scripts/resolve_model.py"


rule generate_base:
    """Unsteered responses to every prompt of the study."""
    input:
        prompts=rules.prepare_prompts.output.prompts,
        card=rules.resolve_model.output.card,
    output:
        responses="results/{model}/none/base/responses.parquet",
    log:
        "logs/{model}/generate_base.log",
    benchmark:
        "logs/benchmarks/{model}/generate_base.jsonl"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=memory("answers"),
        runtime=duration(80),
        gpu=gpu_of_model,
    params:
        splits=BASE_SPLITS,
        contexts=lambda wildcards: options(wildcards).contexts,
        max_new_tokens=study.generation.max_new_tokens,
        batch_size=study.generation.batch_size,
        scored_batch_size=study.generation.scored_batch_size,
        code=code_digest("generate_base"),
    script:
        "../scripts/generate_base.py"
