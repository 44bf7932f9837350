# What does a job ask of the scheduler? Needs the model's card, which is there before any job that runs the model, and the config;
# makes functions of the attempt for mem_mb, runtime and gpu (docs/running/resources.md). Before the card is there Snakemake prints <TBD>.
from steering_study.store.artifacts import read_json
from steering_study.store.devices import count_gpus
from steering_study.study.requests import (
    file_memory_mb,
    is_worth_a_gpu,
    judge_memory_mb,
    loads_of,
    memory_mb,
    minutes,
)

LOADS = loads_of(study)
# A job that may run on a GPU asks for one: of this machine if it has any; on a cluster, unless `--resources gpu=0` says that it has none.
LOCAL_GPU = 1 if workflow.local_exec and count_gpus() else 0
CLUSTER_GPU = 0 if workflow.local_exec or workflow.global_resources.get("gpu").value == 0 else 1
JUDGE_GPU = LOCAL_GPU or CLUSTER_GPU


# On a cluster the limit of the default profile bounds a job, not all jobs at once
resource_scopes:
    gpu="local",


def gpu_of_model(wildcards, input):
    """A GPU of this machine for any model; one of a cluster for a model that is worth it."""
    return int(is_worth_a_gpu(read_json(Path(input.card)))) if CLUSTER_GPU else LOCAL_GPU


def memory(kind):
    """Memory of a job that runs a model and holds what its kind of job holds."""

    def mem_mb(wildcards, input, attempt):
        on_gpu = gpu_of_model(wildcards, input) > 0
        return memory_mb(read_json(Path(input.card)), LOADS[kind], on_gpu=on_gpu, attempt=attempt)

    return mem_mb


def duration(per_billion):
    """Minutes of a job that runs a model, with so many more a billion of parameters."""

    def runtime(wildcards, input, attempt):
        return minutes(read_json(Path(input.card)), per_billion=per_billion, attempt=attempt)

    return runtime


def memory_of_judges(classifiers):
    """Memory of a job that judges texts."""

    def mem_mb(wildcards, attempt):
        return judge_memory_mb(classifiers, on_gpu=JUDGE_GPU > 0, attempt=attempt)

    return mem_mb


def memory_of_scores(wildcards, input, attempt):
    """Memory of a job that reads edge scores of many responses."""
    return file_memory_mb(Path(input.edge_scores), attempt=attempt)
