# What does a model answer, without steering and with it? Needs prompts, the model's card, and for steered texts a vector with
# its coefficients; makes tables of responses.

BASE_SPLITS = ["train", "validation", "test", *(["augmentation"] if LEARNED else [])]


def decoding(max_new_tokens=study.generation.max_new_tokens):
    """How a job writes and scores texts (`texts.options.Decoding`)."""
    return {**vars(study.generation), "max_new_tokens": max_new_tokens}


def swept_coefficients(wildcards):
    """The grid of the sweep, with the fixed coefficients where there are any."""
    published = fixed_coefficients(wildcards) or {}
    return {
        condition: sorted({*grid, *([published[condition]] if condition in published else [])})
        for condition, grid in study.dim.coefficients.items()
    }


def steering_vectors(wildcards):
    """The method's own vector, or one a layer of the sweep over depth."""
    folder = f"results/{wildcards.model}/{wildcards.method}"
    if wildcards.run in ("layers", "windows"):
        return {"vectors": f"{folder}/layers.safetensors"}
    return {"vectors": f"{folder}/vector.safetensors", "vector_card": f"{folder}/vector.json"}


def chosen_coefficients(wildcards):
    """Coefficients of a run that does not go over the grid: those that the sweep chose; a control is swept at DIM's alone."""
    if wildcards.run in ("test", "layers"):
        return {"coefficients": f"results/{wildcards.model}/{wildcards.method}/coefficients.json"}
    if wildcards.run == "sweep" and wildcards.method in CONTROLS:
        return {"coefficients": f"results/{wildcards.model}/dim/coefficients.json"}
    return {}


rule generate_base:
    """texts: Unsteered responses to every prompt of the study."""
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
    threads: study.threads
    resources:
        mem_mb=memory("answers"),
        runtime=duration(80),
        gpu=gpu_of_model,
    params:
        splits=BASE_SPLITS,
        decoding=decoding(),
        code=code_digest("texts/generate_base"),
    script:
        "../scripts/texts/generate_base.py"


rule generate_steered:
    """texts: Steered responses, to validation prompts over coefficients (sweep, windows) or layers (layers), to test prompts at the chosen ones (test)."""
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
    threads: study.threads
    resources:
        mem_mb=memory("answers"),
        runtime=duration(80),
        gpu=gpu_of_model,
    params:
        split=lambda wildcards: "test" if wildcards.run == "test" else "validation",
        coefficients=swept_coefficients,
        decoding=decoding(),
        code=code_digest("texts/generate_steered"),
    script:
        "../scripts/texts/generate_steered.py"
