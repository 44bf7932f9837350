# Which model exactly? Needs a local folder or a hub id; makes the model's card.


def folder_files(wildcards):
    """Files of a local model folder, so that other weights are another input; none for a hub id."""
    folder = Path(options(wildcards).source)
    return sorted(
        map(
            str,
            [
                *folder.glob("*.safetensors"),
                *folder.glob("*.json"),
                *folder.glob("*.jinja"),
            ],
        )
    )


rule resolve_model:
    """models: Card of a model: revision, shapes, template, end-of-turn ids, post-instruction span."""
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
        code=code_digest("models/resolve_model"),
    script:
        "../scripts/models/resolve_model.py"
