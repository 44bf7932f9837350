# What the files of rules share. Here: the typed study, code digests, wildcards, and what is said before and after.
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger
from snakemake.utils import update_config
from snakemake_interface_executor_plugins.settings import ExecMode
from snakemake_interface_logger_plugins.common import LogEvent

from steering_study.config import config_digest, load_study
from steering_study.config_files import check_keys, check_options, config_words, describe_config
from steering_study.digest import code_digest as digest_of
from steering_study.forecast import describe_plan
from steering_study.jobs import explain_silence
from steering_study.plan import planned_jobs
from steering_study.presence import arrive
from steering_study.report.gallery import own_figures, read_gallery
from steering_study.report.run_page import RUN_FIGURES, RUN_FRAMES, RUN_TITLE
from steering_study.report.sections import (
    figure_path,
    figure_paths,
    frame_paths,
    notebook_parameters,
    notebook_path,
    read_report,
    section_inputs,
)
from steering_study.report.sources import source_paths
from steering_study.yaml_files import read_yaml

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

PUBLIC_SETS = {entry["name"]: entry for entry in read_yaml(Path("resources/prompts/public.yaml"))}
POCKET_DATA = sorted(map(str, Path("workflow/steering_study/pocket/data").glob("*.yaml")))
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
MODELS = list(study.models)
METHODS = list(study.methods)
LEARNED = [method for method in METHODS if method in study.search.learned]
CONTROLS = [method for method in METHODS if method in ("random", "shuffled")]
CIRCUIT_METHODS = list(study.circuits.methods)
ATTENTION_METHODS = list(study.attention.methods)
SPARSE_METHODS = list(study.sparsity.methods)
BASE_SPLITS = ["train", "validation", "test", *(["augmentation"] if LEARNED else [])]
# Judges that are models, with their entries in the config: those in use, and those whose error is measured
CLASSIFIERS, TESTED_CLASSIFIERS = (
    {name: study.judges.classifiers.get(name, {}) for name in names if name != "phrases"}
    for names in ({study.judges.harmful, study.judges.harmless}, study.judges.tested)
)
OWN_JUDGES = sorted(map(str, Path("workflow/steering_study/judges/kinds").glob("*.py")))  # loaded by name
SELECTION = {
    "rule": study.dim.selection,
    "min_induce": study.dim.min_induce,
    "max_kl": study.dim.max_kl,
    "max_depth": {name: model.max_depth or study.dim.max_depth for name, model in study.models.items()},
}
CONFIG_DIGEST = config_digest(config)
# What a model answers with and without a method's vector
STEERING = {
    "card": "results/{model}/model.json",
    "vector": "results/{model}/{method}/vector.safetensors",
    "vector_card": "results/{model}/{method}/vector.json",
    "base_responses": "results/{model}/none/base/responses.parquet",
    "base_verdicts": "results/{model}/none/base/verdicts.parquet",
    "responses": "results/{model}/{method}/test/responses.parquet",
    "verdicts": "results/{model}/{method}/test/verdicts.parquet",
}
CLAIMS = "resources/paper/claims.csv"
SECTIONS = "workflow/report/sections.yaml"
REPORT = read_report(Path(SECTIONS))
GALLERY_FILE = "workflow/report/gallery.yaml"
GALLERY = read_gallery(Path(GALLERY_FILE), REPORT)
OWN_FIGURES = own_figures(GALLERY, REPORT, models=MODELS, methods=CIRCUIT_METHODS)
RESULT_TESTS = sorted(map(str, Path("tests/results").glob("*.py")))
RULE_FILES = sorted(map(str, Path("workflow/rules").glob("*.smk")))


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
    """Digest of a rule script and of the package functions that it reaches."""
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


def fixed_coefficients(wildcards):
    """Coefficients that are not ours to choose: published ones, and those that a learned vector is trained at."""
    if wildcards.method in LEARNED:
        return {"induce": 1.0, "bypass": -1.0}
    direction = options(wildcards).direction
    return {"induce": direction.induce, "bypass": direction.bypass} if direction else None


def dim_coefficients(wildcards):
    """A control is used at the coefficients of DIM, whose norm it has."""
    if wildcards.method in CONTROLS:
        return {"dim_coefficients": f"results/{wildcards.model}/dim/coefficients.json"}
    return {}


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


def sparse_sweep(wildcards):
    """The test run waits for the verdicts by which retuned coefficients are chosen."""
    if wildcards.run == "sparse_sweep":
        return {}
    sweeps = {
        f"sweep_{name}": [
            f"results/{wildcards.model}/{method}/sparse_sweep/{name}.parquet" for method in SPARSE_METHODS
        ]
        for name in ("settings", "verdicts")
    }
    return {**sweeps, "base_verdicts": f"results/{wildcards.model}/none/base/verdicts.parquet"}


def steering_of(methods):
    """`STEERING` of several methods at once: what each has of its own is a list, named in the plural."""
    shared = {name: STEERING[name] for name in ("card", "base_responses", "base_verdicts")}
    own = {
        "vectors": STEERING["vector"],
        "vector_cards": STEERING["vector_card"],
        "responses": STEERING["responses"],
        "verdicts": STEERING["verdicts"],
    }
    return shared | {
        name: expand(path.replace("{model}", "{{model}}"), method=methods) for name, path in own.items()
    }


def unsteered_verdicts(wildcards):
    """Steered texts are judged by the fluency of the unsteered ones."""
    if wildcards.run == "base":
        return {}
    return {"base_verdicts": f"results/{wildcards.model}/none/base/verdicts.parquet"}


def method_file(wildcards):
    """The file of a learned method: another loss is another vector."""
    return f"workflow/steering_study/vectors/{wildcards.method}.py"


def shard_trials(wildcards):
    """The trials of a job of the search."""
    return study.search.shards(wildcards.method)[int(wildcards.shard)]


def shard_files(stem):
    """Files of a method's search, one a job."""

    def files(wildcards):
        shards = range(len(study.search.shards(wildcards.method)))
        return [f"results/{wildcards.model}/{wildcards.method}/trials/{shard}.{stem}" for shard in shards]

    return files


def reported(path, *, caption, category, title):
    """A file that goes into Snakemake's own report as well."""
    return report(path, caption=f"../report/{caption}.rst", category=category, labels={"figure": title})


def reported_figures(section):
    """Figures of a section; the SVG of each goes into Snakemake's own report as well."""
    titles = {figure_path(section, figure.name, "svg"): figure.title for figure in section.figures}
    return [
        (
            reported(path, caption=Path(path).stem, category=section.title, title=titles[path])
            if path in titles
            else path
        )
        for path in figure_paths(section)
    ]


def own_figures_of(section):
    """Figures of a section that show one model alone."""
    return [figure for figure in OWN_FIGURES if figure.section == section.name]


def reported_run_figures():
    """The same for the figures of the page on the run."""
    svg = [
        reported(f"reports/figures/run/{name}.svg", caption=name, category=RUN_TITLE, title=title)
        for name, title in RUN_FIGURES.items()
    ]
    return svg + collect("reports/figures/run/{name}.{suffix}", name=RUN_FIGURES, suffix=["png", "pdf"])


RAW_FILES, PROMPT_SOURCES = prompt_files()
SECTION_TABLES = [
    path
    for section in REPORT.sections
    for paths in section_inputs(section, MODELS, METHODS).values()
    for path in paths
]
