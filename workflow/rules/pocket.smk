# Where do the bundled models and prompts come from? Needs the corpus data of steering_study.pocket; makes
# candidates under results/pocket/, on request only. The committed copies under resources/ are plain inputs.


rule train_bundled_models:
    """pocket: Train both bundled models from nothing, and write their prompts (an hour and a half on two cores, both at once)."""
    input:
        expand("results/pocket/{pocket}", pocket=study.pocket["shapes"]),
        "results/pocket/prompts",


rule train_bundled_model:
    """pocket: Train one bundled model."""
    input:
        POCKET_DATA,
    output:
        folder=directory("results/pocket/{pocket}"),
    log:
        "logs/pocket/{pocket}.log",
    benchmark:
        "logs/benchmarks/pocket/{pocket}.jsonl"
    wildcard_constraints:
        pocket="|".join(study.pocket["shapes"]),
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=4000,
        runtime=180,
        gpu=LOCAL_GPU,
    params:
        shape=lambda wildcards: study.pocket["shapes"][wildcards.pocket],
        plan=lambda wildcards: {**study.pocket["plan"], **study.pocket["plans"].get(wildcards.pocket, {})},
        mixture=lambda wildcards: {
            **study.pocket["mixture"],
            **study.pocket["mixtures"].get(wildcards.pocket, {}),
        },
        code=code_digest("pocket/train_bundled_model"),
    script:
        "../scripts/pocket/train_bundled_model.py"


rule write_bundled_prompts:
    """pocket: Write the bundled prompt sets."""
    input:
        POCKET_DATA,
    output:
        folder=directory("results/pocket/prompts"),
    log:
        "logs/pocket/write_bundled_prompts.log",
    benchmark:
        "logs/benchmarks/pocket/write_bundled_prompts.jsonl"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        counts=study.pocket["prompts"],
        seed=study.pocket["plan"]["seed"],
        code=code_digest("pocket/write_bundled_prompts"),
    script:
        "../scripts/pocket/write_bundled_prompts.py"
