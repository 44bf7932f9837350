# Which vectors steer refusal? Needs prompts, the model, its base responses and their verdicts; makes class means, the table of
# candidates, the vector of each method, and the cosines between vectors.

SELECTION = {
    "rule": study.dim.selection,
    "min_induce": study.dim.min_induce,
    "max_kl": study.dim.max_kl,
    "max_depth": {name: model.max_depth or study.dim.max_depth for name, model in study.models.items()},
}


# What the rule "flips" tries the best candidates with: their texts at the coefficients of the sweep, judged as all texts are
CANDIDATE_TRIAL = {
    "candidates": study.dim.flips["candidates"],
    "n_prompts": study.dim.flips["prompts"],
    "coefficients": study.dim.coefficients,
    "decoding": vars(study.generation),
    "max_degenerate": study.dim.max_degenerate,
}
JUDGING = {
    "of_label": {"harmful": study.judges.harmful, "harmless": study.judges.harmless},
    "classifiers": study.judges.classifiers,
    "max_repetition": study.judges.max_repetition,
    "max_improbable": study.judges.max_improbable,
}


def filters(wildcards):
    """What a DIM candidate has to pass."""
    return {
        "min_induce": study.dim.min_induce,
        "max_kl": study.dim.max_kl,
        "max_depth": SELECTION["max_depth"][wildcards.model],
    }


def published_direction(wildcards):
    """Published layer and position of the model's DIM vector, if the config names them."""
    direction = options(wildcards).direction
    return {"layer": direction.layer, "position": direction.position} if direction else None


def method_file(wildcards):
    """The file of a learned method: another loss is another vector."""
    return f"workflow/steering_study/vectors/methods/{wildcards.method}.py"


def shard_trials(wildcards):
    """The trials of a job of the search."""
    return study.search.shards(wildcards.method)[int(wildcards.shard)]


def shard_files(stem):
    """Files of a method's search, one a job."""

    def files(wildcards):
        shards = range(len(study.search.shards(wildcards.method)))
        return [f"results/{wildcards.model}/{wildcards.method}/trials/{shard}.{stem}" for shard in shards]

    return files


rule extract_activations:
    """vectors: Class means of resid_pre, per block and post-instruction position."""
    input:
        prompts=rules.prepare_prompts.output.prompts,
        card=rules.resolve_model.output.card,
    output:
        means="results/{model}/class_means.safetensors",
    log:
        "logs/{model}/extract_activations.log",
    benchmark:
        "logs/benchmarks/{model}/extract_activations.jsonl"
    conda:
        "../../envs/environment.yaml"
    threads: study.threads
    resources:
        mem_mb=memory("passes"),
        runtime=duration(20),
        gpu=gpu_of_model,
    params:
        batch_size=study.generation.scored_batch_size,
        code=code_digest("vectors/extract_activations"),
    script:
        "../scripts/vectors/extract_activations.py"


rule select_direction:
    """vectors: The DIM vector, and the table of all candidates with their scores and why each fell."""
    input:
        prompts=rules.prepare_prompts.output.prompts,
        card=rules.resolve_model.output.card,
        means=rules.extract_activations.output.means,
        base_responses=rules.generate_base.output.responses,
        base_verdicts="results/{model}/none/base/verdicts.parquet",
        phrases="resources/refusal_phrases.yaml",
        weights="resources/judges/declines.csv",
    output:
        candidates="results/{model}/candidates.parquet",
        flips="results/{model}/candidate_flips.parquet",
        vector="results/{model}/dim/vector.safetensors",
        vector_card="results/{model}/dim/vector.json",
    log:
        "logs/{model}/select_direction.log",
    benchmark:
        "logs/benchmarks/{model}/select_direction.jsonl"
    conda:
        "../../envs/environment.yaml"
    threads: study.threads
    resources:
        mem_mb=memory("passes"),
        runtime=duration(40),
        gpu=gpu_of_model,
    params:
        rule=study.dim.selection,
        every=study.dim.scores == "all",
        trial=CANDIDATE_TRIAL,
        judges=JUDGING,
        filters=filters,
        coverage=study.dim.refusal_coverage,
        tokens=lambda wildcards: options(wildcards).refusal_tokens,
        published=published_direction,
        batch_size=study.generation.scored_batch_size,
        code=code_digest("vectors/select_direction"),
    script:
        "../scripts/vectors/select_direction.py"


rule contrast_responses:
    """vectors: Responses with the behaviour that steering should bring about, on training and validation prompts."""
    input:
        prompts=rules.prepare_prompts.output.prompts,
        card=rules.resolve_model.output.card,
        vector=rules.select_direction.output.vector,
        vector_card=rules.select_direction.output.vector_card,
        coefficients="results/{model}/dim/coefficients.json",
    output:
        responses="results/{model}/dim/contrast/responses.parquet",
    log:
        "logs/{model}/contrast_responses.log",
    benchmark:
        "logs/benchmarks/{model}/contrast_responses.jsonl"
    conda:
        "../../envs/environment.yaml"
    threads: study.threads
    resources:
        mem_mb=memory("contrasts"),
        runtime=duration(80),
        gpu=gpu_of_model,
    params:
        refusal_request=lambda wildcards: options(wildcards).refusal_request,
        decoding=decoding(max_new_tokens=study.search.max_tokens),
        code=code_digest("vectors/contrast_responses"),
    script:
        "../scripts/vectors/contrast_responses.py"


rule pair_responses:
    """vectors: Contrast pairs of desired and undesired responses, and why some are dropped."""
    input:
        base_responses=rules.generate_base.output.responses,
        base_verdicts="results/{model}/none/base/verdicts.parquet",
        responses=rules.contrast_responses.output.responses,
        verdicts="results/{model}/dim/contrast/verdicts.parquet",
    output:
        pairs="results/{model}/pairs.parquet",
    log:
        "logs/{model}/pair_responses.log",
    benchmark:
        "logs/benchmarks/{model}/pair_responses.jsonl"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        max_tokens=study.search.max_tokens,
        code=code_digest("vectors/pair_responses"),
    script:
        "../scripts/vectors/pair_responses.py"


rule train_vectors:
    """vectors: Vectors of some trials of a method's search, trained side by side."""
    input:
        pairs=rules.pair_responses.output.pairs,
        card=rules.resolve_model.output.card,
        vector_card=rules.select_direction.output.vector_card,
        method=method_file,
    output:
        vectors="results/{model}/{method}/trials/{shard}.safetensors",
        trials="results/{model}/{method}/trials/{shard}.trials.parquet",
        training="results/{model}/{method}/trials/{shard}.training.parquet",
    log:
        "logs/{model}/{method}/train_vectors_{shard}.log",
    benchmark:
        "logs/benchmarks/{model}/{method}/train_vectors_{shard}.jsonl"
    wildcard_constraints:
        method="|".join(LEARNED) or "none",
        shard=r"\d+",
    conda:
        "../../envs/environment.yaml"
    threads: study.threads
    resources:
        mem_mb=memory("training"),
        runtime=duration(80),
        gpu=gpu_of_model,
    params:
        trials=shard_trials,
        batch_size=study.generation.scored_batch_size,
        code=code_digest("vectors/train_vectors"),
    script:
        "../scripts/vectors/train_vectors.py"


rule select_vector:
    """vectors: The vector of a learned method, and the table of all trials of its search."""
    input:
        vectors=shard_files("safetensors"),
        trials=shard_files("trials.parquet"),
        training=shard_files("training.parquet"),
        dim_card=rules.select_direction.output.vector_card,
    output:
        trials="results/{model}/{method}/trials.parquet",
        training="results/{model}/{method}/training.parquet",
        vector="results/{model}/{method}/vector.safetensors",
        vector_card="results/{model}/{method}/vector.json",
    log:
        "logs/{model}/{method}/select_vector.log",
    benchmark:
        "logs/benchmarks/{model}/{method}/select_vector.jsonl"
    wildcard_constraints:
        method="|".join(LEARNED) or "none",
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=code_digest("vectors/select_vector"),
    script:
        "../scripts/vectors/select_vector.py"


rule select_layer_directions:
    """vectors: DIM at every layer of the sweep over depth."""
    input:
        candidates=rules.select_direction.output.candidates,
        means=rules.extract_activations.output.means,
        card=rules.resolve_model.output.card,
        dim_card=rules.select_direction.output.vector_card,
    output:
        directions="results/{model}/dim/layers.safetensors",
    log:
        "logs/{model}/select_layer_directions.log",
    benchmark:
        "logs/benchmarks/{model}/select_layer_directions.jsonl"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        layers=study.layers,
        code=code_digest("vectors/select_layer_directions"),
    script:
        "../scripts/vectors/select_layer_directions.py"


rule train_layers:
    """vectors: A learned vector at every layer of the sweep over depth, by the trial that the search selected."""
    input:
        pairs=rules.pair_responses.output.pairs,
        card=rules.resolve_model.output.card,
        directions=rules.select_layer_directions.output.directions,
        vector=rules.select_vector.output.vector,
        vector_card=rules.select_vector.output.vector_card,
        method=method_file,
    output:
        directions="results/{model}/{method}/layers.safetensors",
    log:
        "logs/{model}/{method}/train_layers.log",
    benchmark:
        "logs/benchmarks/{model}/{method}/train_layers.jsonl"
    wildcard_constraints:
        method="|".join(LEARNED) or "none",
    conda:
        "../../envs/environment.yaml"
    threads: study.threads
    resources:
        mem_mb=memory("training"),
        runtime=duration(80),
        gpu=gpu_of_model,
    params:
        trials=lambda wildcards: study.search.trials(wildcards.method),
        batch_size=study.generation.scored_batch_size,
        code=code_digest("vectors/train_layers"),
    script:
        "../scripts/vectors/train_layers.py"


rule make_control:
    """vectors: A vector of DIM's norm that should do nothing: a random direction, or DIM of shuffled labels."""
    input:
        prompts=rules.prepare_prompts.output.prompts,
        card=rules.resolve_model.output.card,
        dim_vector=rules.select_direction.output.vector,
        dim_card=rules.select_direction.output.vector_card,
        dim_directions=rules.select_layer_directions.output.directions,
    output:
        vector="results/{model}/{method}/vector.safetensors",
        directions="results/{model}/{method}/layers.safetensors",
        vector_card="results/{model}/{method}/vector.json",
    log:
        "logs/{model}/{method}/make_control.log",
    benchmark:
        "logs/benchmarks/{model}/{method}/make_control.jsonl"
    wildcard_constraints:
        method="random|shuffled",
    conda:
        "../../envs/environment.yaml"
    threads: study.threads
    resources:
        mem_mb=memory("passes"),
        runtime=duration(20),
        gpu=gpu_of_model,
    params:
        seed=study.seed,
        batch_size=study.generation.scored_batch_size,
        code=code_digest("vectors/make_control"),
    script:
        "../scripts/vectors/make_control.py"


rule compare_vectors:
    """vectors: Cosine similarity of every pair of a model's vectors."""
    input:
        vectors=expand("results/{{model}}/{method}/vector.safetensors", method=METHODS),
    output:
        cosine="results/{model}/cosine.parquet",
    log:
        "logs/{model}/compare_vectors.log",
    benchmark:
        "logs/benchmarks/{model}/compare_vectors.jsonl"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        methods=METHODS,
        code=code_digest("vectors/compare_vectors"),
    script:
        "../scripts/vectors/compare_vectors.py"
