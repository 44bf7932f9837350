# Which model exactly? Needs a hub id, a local folder or a GGUF file, which is unpacked first; makes the model's card.


def model_source(wildcards):
    """Where the model's weights are read from."""
    model = options(wildcards)
    return f"results/{model.name}/weights" if model.is_gguf else model.source


def folder_files(wildcards):
    """Files of a local model folder, so that other weights are another input; none for a hub id."""
    if options(wildcards).is_gguf:
        return [model_source(wildcards)]
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


rule unpack_gguf:
    """models: A GGUF file as a folder of dequantised safetensors, with config, tokenizer and chat template."""
    input:
        file=lambda wildcards: options(wildcards).source,
    output:
        folder=directory("results/{model}/weights"),
    log:
        "logs/{model}/unpack_gguf.log",
    benchmark:
        "logs/benchmarks/{model}/unpack_gguf.jsonl"
    wildcard_constraints:
        model="|".join(re.escape(model.name) for model in study.models.values() if model.is_gguf) or "-",
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=lambda wildcards, input, attempt: int(3000 + 8 * input.size_mb) * attempt,
        runtime=30,
    params:
        sha256=lambda wildcards: options(wildcards).sha256,
        code=code_digest("models/unpack_gguf"),
    script:
        "../scripts/models/unpack_gguf.py"


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
        source=model_source,
        revision=lambda wildcards: options(wildcards).revision,
        dtype=lambda wildcards: options(wildcards).dtype,
        template=study.prompts.template,
        code=code_digest("models/resolve_model"),
    script:
        "../scripts/models/resolve_model.py"
