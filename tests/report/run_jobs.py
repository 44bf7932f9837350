"""A small study as a list of jobs: prompts, a vector swept, judged and tested, and a figure; two methods, of which the second needs the first."""

from steering_study.report.run.jobs import Job, read_jobs


def job(rule: str, outputs: str, *needs: int, part: str = "steering", **wildcards: str) -> dict:
    folder = "/".join(wildcards.values())
    return {
        "rule": rule,
        "part": part,
        "wildcards": wildcards,
        "outputs": outputs.split(),
        "benchmark": f"logs/benchmarks/{folder}/{rule}.jsonl",
        "needs": list(needs),
    }


def steps(method: str, start: int, *needs: int) -> list[dict]:
    """From a vector to the coefficient, the first of five jobs at place `start`."""
    return [
        job("train", f"results/m/{method}/vector.safetensors", *needs, part="vectors", method=method),
        job("generate", f"results/m/{method}/sweep.parquet", start, method=method, run="sweep"),
        job("judge", f"results/m/{method}/sweep_verdicts.parquet", start + 1, method=method, run="sweep"),
        job("choose", f"results/m/{method}/coefficients.json", start + 2, method=method),
        job("generate", f"results/m/{method}/test.parquet", start, start + 3, method=method, run="test"),
    ]


PLAN = [
    job("prepare", "results/prompts.parquet", part="prompts"),
    *steps("dim", 1, 0),
    *steps("ntp", 6, 0, 4),
    job("draw", "reports/figures/a.svg reports/tables/a.csv", 0, 5, 10, part="report"),
]


def small_study() -> list[Job]:
    return read_jobs(PLAN)
