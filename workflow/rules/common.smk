# What every stage needs: the study, digests of code, lists of methods, wildcards, and what is said before and after a run.
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger
from snakemake.utils import update_config
from snakemake_interface_executor_plugins.settings import ExecMode
from snakemake_interface_logger_plugins.common import LogEvent

from steering_study.store.job import explain_silence
from steering_study.store.presence import arrive
from steering_study.study.config import config_digest, load_study
from steering_study.study.config_files import check_keys, check_options, config_words, describe_config
from steering_study.study.digest import code_digest as digest_of
from steering_study.study.forecast import describe_plan
from steering_study.vectors.options import CONTROLS as EVERY_CONTROL

SCRIPTS = Path(workflow.current_basedir).parent / "scripts"

CONFIG_FILES = [Path("config/study.yaml").absolute(), *workflow.overwrite_configfiles]
CONFIG_WORDS = list(workflow.config_settings.config_args)

try:
    # A program that calls Snakemake's functions has arguments of its own
    if Path(sys.argv[0]).name in ("snakemake", "__main__.py"):
        check_options(sys.argv[1:])
    for path in CONFIG_FILES:
        check_keys(path)
    update_config(config, config_words(CONFIG_WORDS))
    study = load_study(config)
except ValueError as error:
    raise WorkflowError(str(error)) from None

MODELS = list(study.models)
METHODS = list(study.methods)
LEARNED = [method for method in METHODS if method in study.search.learned]
CONTROLS = [method for method in METHODS if method in EVERY_CONTROL]
CIRCUIT_METHODS = list(study.circuits.methods)
ATTENTION_METHODS = list(study.attention.methods)
SPARSE_METHODS = list(study.sparsity.methods)
POCKET_DATA = sorted(map(str, Path("workflow/steering_study/pocket/data").glob("*.yaml")))
CONFIG_DIGEST = config_digest(config)


if workflow.exec_mode == ExecMode.DEFAULT:
    print(describe_config(CONFIG_FILES, CONFIG_WORDS), file=sys.stderr)

if workflow.local_exec and workflow.exec_mode == ExecMode.DEFAULT:
    PRESENCE, lock_was_left = arrive()  # kept open for as long as this run lives
    if lock_was_left:
        print(
            "The run before this one was killed; its lock is removed, and what it left unfinished is made again.",
            file=sys.stderr,
        )


wildcard_constraints:
    model="|".join(re.escape(name) for name in MODELS),
    method="none|" + "|".join(METHODS),
    run="base|sweep|test|contrast|layers|windows|circuit|complement|frozen|sparse_sweep|sparse",


def code_digest(script):
    """Digest of a rule's script, `stage/rule`, and of the package functions that it reaches."""
    return digest_of(SCRIPTS / f"{script}.py")


def options(wildcards):
    """Config of the job's model."""
    return study.models[wildcards.model]


def explain_failure(record):
    """A failed job is shown with its log; one that was killed has said nothing there, or has no log at all."""
    if getattr(record, "event", None) == LogEvent.JOB_ERROR:
        # render_notebook names its notebook as a log as well, which is no text to read
        record.log = record.log[:1]
        for path in record.log:
            explain_silence(record.rule_name, Path(path))
    return True


logger.addFilter(explain_failure)


def announce(workflow):
    """Say what a run is about to do."""
    jobs = [job.name for job in workflow.dag.needrun_jobs()]
    cores = workflow.cores if workflow.local_exec else None
    for line in describe_plan(jobs, models=MODELS, cores=cores):
        print(line, file=sys.stderr)


def conclude(workflow):
    """Say where to look."""
    page = Path("reports/index.html").absolute()
    if page.exists():
        print(f"The report: {page}", file=sys.stderr)
