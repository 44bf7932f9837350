# What did the study find? Needs the summary tables; makes tidy frames, figures, executed notebooks and the page
# reports/index.html, section by section of workflow/report/sections/, and beside it reports/gallery.html, by the
# paper's numbers, reports/texts.html, all texts, reports/circuits/, the edges of each model, and reports/run.html: how it was run.
from steering_study.report.gallery import own_figures, read_gallery
from steering_study.report.run.page import FRAMES as RUN_FRAMES, RUN_FIGURES, RUN_TITLE
from steering_study.report.sections import (
    figure_path,
    figure_paths,
    frame_paths,
    notebook_parameters,
    notebook_path,
    read_report,
    section_file,
    section_inputs,
)
from steering_study.report.sources import source_paths
from steering_study.study.plan import planned_jobs

REPORT_FILE = "workflow/report/report.yaml"
REPORT = read_report(Path(REPORT_FILE))
SECTION_FILES = [str(section_file(Path(REPORT_FILE), section.name)) for section in REPORT.sections]
GALLERY_FILE = "workflow/report/gallery.yaml"
GALLERY = read_gallery(Path(GALLERY_FILE), REPORT)
OWN_FIGURES = own_figures(GALLERY, REPORT, models=MODELS, methods=CIRCUIT_METHODS)
RESULT_TESTS = sorted(map(str, Path("tests/results").glob("*.py")))
RULE_FILES = sorted(map(str, Path("workflow/rules").glob("*.smk")))
SECTION_TABLES = [
    path
    for section in REPORT.sections
    for paths in section_inputs(section, MODELS, METHODS).values()
    for path in paths
]


def reported(path, *, caption, category, title):
    """A file that goes into Snakemake's own report as well."""
    return report(
        path, caption=f"../report/captions/{caption}.rst", category=category, labels={"figure": title}
    )


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


def reported_run_figures():
    """Figures of the page on the run; the SVG of each goes into Snakemake's own report as well."""
    svg = [
        reported(f"reports/figures/run/{name}.svg", caption=name, category=RUN_TITLE, title=title)
        for name, title in RUN_FIGURES.items()
    ]
    return svg + collect("reports/figures/run/{name}.{suffix}", name=RUN_FIGURES, suffix=["png", "pdf"])


def own_figures_of(section):
    """Figures of a section that show one model alone."""
    return [figure for figure in OWN_FIGURES if figure.section == section.name]


rule check_results:
    """report: Tests of the results: what must hold between the tables, whatever the numbers are."""
    input:
        SECTION_TABLES,
        "results/prompts/prompts.parquet",
        collect(
            "results/{model}/{table}.parquet", model=MODELS, table=["asr", "flips", "candidates", "layers"]
        ),
        collect("results/{model}/class_means.safetensors", model=MODELS),
        collect("results/{model}/none/base/verdicts.parquet", model=MODELS),
        collect(
            "results/{model}/{method}/{run}/verdicts.parquet",
            model=MODELS,
            method=METHODS,
            run=["sweep", "test"],
        ),
        collect("results/{model}/{method}/coefficients.json", model=MODELS, method=METHODS),
        collect("results/{model}/{method}/training.parquet", model=MODELS, method=LEARNED),
        collect(
            "results/{model}/{table}.parquet",
            model=MODELS,
            table=["faithfulness", "edge_census", "edge_shares", "circuit_asr"],
        ),
        collect(
            "results/{model}/{method}/{table}.parquet",
            model=MODELS,
            method=CIRCUIT_METHODS,
            table=["circuit_runs", "rankings", "attribution"],
        ),
        collect(
            "results/{model}/{table}.parquet",
            model=MODELS,
            table=["ablations", "nodes", "svv_tokens", "svv_concepts"],
        ),
        collect(
            "results/{model}/{method}/frozen/{table}.parquet",
            model=MODELS,
            method=ATTENTION_METHODS,
            table=["responses", "frozen_settings"],
        ),
        collect(
            "results/{model}/{table}.parquet",
            model=MODELS,
            table=[
                "sparsity",
                "retention",
                "sparsity_kl",
                "sparse_faithfulness",
                "iou",
                "shared_dimensions",
            ],
        ),
        collect(
            "results/{model}/{method}/sparse/{table}.parquet",
            model=MODELS,
            method=SPARSE_METHODS,
            table=["verdicts", "sparse_settings"],
        ),
        collect("results/{model}/claims.parquet", model=MODELS),
        "results/summary/claim_means.parquet",
        rules.label_texts.output.labelled,
        rules.measure_judges.output,
        CLAIMS,
        "resources/refusal_phrases.yaml",
        "results/export",
        tests=RESULT_TESTS,
    output:
        outcome="results/checks.json",
    log:
        "logs/check_results.log",
    benchmark:
        "logs/benchmarks/check_results.jsonl"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=3000,
        runtime=10,
    params:
        tests=lambda wildcards, input: str(Path(input.tests[0]).parent),
        models=MODELS,
        methods=METHODS,
        circuit_methods=CIRCUIT_METHODS,
        attention_methods=ATTENTION_METHODS,
        sparse_methods=SPARSE_METHODS,
        code=code_digest("report/check_results"),
    script:
        "../scripts/report/check_results.py"


for section in REPORT.sections:

    rule:
        """report: Tidy frames and figures of one section of the report."""
        name:
            f"draw_figures_{section.name}"
        input:
            **section_inputs(section, MODELS, METHODS),
            cards=collect(rules.resolve_model.output.card, model=MODELS),
            published=list(section.published.values()),
            section=str(section_file(Path(REPORT_FILE), section.name)),
        output:
            frames=frame_paths(section),
            figures=reported_figures(section),
            own=[path for figure in own_figures_of(section) for path in figure.paths],
        log:
            f"logs/report/{section.name}/draw_figures.log",
        benchmark:
            f"logs/benchmarks/report/{section.name}/draw_figures.jsonl"
        conda:
            "../../envs/environment.yaml"
        resources:
            mem_mb=1500,
            runtime=10,
        params:
            models=MODELS,
            tables=list(section.tables),
            published=dict(section.published),
            own=[
                {"figure": each.figure, "model": each.model, "method": each.method, "paths": each.paths}
                for each in own_figures_of(section)
            ],
            code=code_digest("report/draw_figures"),
        script:
            "../scripts/report/draw_figures.py"


rule render_notebook:
    """report: Executed notebook of a section of the report, and the same as HTML."""
    input:
        lambda wildcards: frame_paths(REPORT.section(wildcards.section)),
        notebook="workflow/notebooks/{section}.ipynb",
    output:
        ipynb="reports/notebooks/{section}.ipynb",
        html="reports/notebooks/{section}.html",
    log:
        "logs/report/{section}/render_notebook.log",
        notebook="logs/report/{section}/{section}.ipynb",
    benchmark:
        "logs/benchmarks/report/{section}/render_notebook.jsonl"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=1500,
        runtime=10,
    params:
        parameters=lambda wildcards: notebook_parameters(REPORT.section(wildcards.section)),
        code=code_digest("report/render_notebook"),
    script:
        "../scripts/report/render_notebook.py"


rule draw_circuit_page:
    """report: A page on which a reader looks at a model's circuits edge by edge."""
    input:
        top_edges=rules.summarise_circuits.output.top_edges,
        template="workflow/report/circuit.html.j2",
    output:
        page=reported(
            "reports/circuits/{model}.html",
            caption="circuit_page",
            category=REPORT.section("circuits").title,
            title="The circuits of {model}, edge by edge",
        ),
    log:
        "logs/{model}/draw_circuit_page.log",
    benchmark:
        "logs/benchmarks/{model}/draw_circuit_page.jsonl"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=code_digest("report/draw_circuit_page"),
    script:
        "../scripts/report/draw_circuit_page.py"


def written_runs():
    """Folders of the study's texts: unsteered ones, and those of each run that the study asks for."""
    runs = {
        "none": ["base"],
        **{method: ["test", "sweep", "layers"] for method in METHODS},
    }
    for methods, more in (
        (["dim"] if LEARNED else [], ["contrast"]),
        (CIRCUIT_METHODS, ["circuit", "complement"]),
        (ATTENTION_METHODS, ["frozen"]),
        (SPARSE_METHODS, ["sparse", "sparse_sweep"]),
    ):
        for method in methods:
            runs[method] += more
    return [f"results/{model}/{method}/{run}" for model in MODELS for method in runs for run in runs[method]]


rule write_texts:
    """report: The page of texts: every text with its verdicts and what made them, to search and to label."""
    input:
        cards=collect(rules.resolve_model.output.card, model=MODELS),
        responses=[f"{folder}/responses.parquet" for folder in written_runs()],
        verdicts=[f"{folder}/verdicts.parquet" for folder in written_runs()],
        phrases="resources/refusal_phrases.yaml",
        weights="resources/judges/declines.csv",
        template="workflow/report/texts.html.j2",
        script="workflow/report/texts.js",
    output:
        page="reports/texts.html",
    log:
        "logs/report/write_texts.log",
    benchmark:
        "logs/benchmarks/report/write_texts.jsonl"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=3000,
        runtime=20,
    params:
        max_repetition=study.judges.max_repetition,
        max_improbable=study.judges.max_improbable,
        code=code_digest("report/write_texts"),
    script:
        "../scripts/report/write_texts.py"


rule write_report:
    """report: The page: every figure and table beside the published one, and where each number comes from."""
    input:
        SECTION_TABLES,
        rules.check_results.output.outcome,
        [path for section in REPORT.sections for path in frame_paths(section) + figure_paths(section)],
        [notebook_path(section, suffix) for section in REPORT.sections for suffix in ("ipynb", "html")],
        source_paths(REPORT),
        SECTION_FILES,
        sections=REPORT_FILE,
        template="workflow/report/index.html.j2",
        style="workflow/report/style.css",
        sort="workflow/report/sort.js",
        cards=collect(rules.resolve_model.output.card, model=MODELS),
        prompts=rules.prepare_prompts.output.prompts,
        rules=RULE_FILES,
    output:
        "reports/index.html",
    log:
        "logs/report/write_report.log",
    benchmark:
        "logs/benchmarks/report/write_report.jsonl"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=1500,
        runtime=10,
    params:
        models=MODELS,
        methods=METHODS,
        confidence=study.confidence,
        faithful=study.circuits.faithful,
        selection=SELECTION,
        config_digest=CONFIG_DIGEST,
        code=code_digest("report/write_report"),
    script:
        "../scripts/report/write_report.py"


rule write_gallery:
    """report: The paper's figures and tables by number, each model by itself, and where each comes from."""
    input:
        SECTION_TABLES,
        [path for section in REPORT.sections for path in frame_paths(section)],
        [path for figure in OWN_FIGURES for path in figure.paths],
        SECTION_FILES,
        sections=REPORT_FILE,
        gallery=GALLERY_FILE,
        template="workflow/report/gallery.html.j2",
        style="workflow/report/style.css",
        sort="workflow/report/sort.js",
        rules=RULE_FILES,
    output:
        "reports/gallery.html",
    log:
        "logs/report/write_gallery.log",
    benchmark:
        "logs/benchmarks/report/write_gallery.jsonl"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=1500,
        runtime=10,
    params:
        models=MODELS,
        methods=METHODS,
        circuit_methods=CIRCUIT_METHODS,
        code=code_digest("report/write_gallery"),
    script:
        "../scripts/report/write_gallery.py"


rule describe_run:
    """report: The page on the run: config, models, versions, machine, times, graph of rules, origin of every file."""
    input:
        rules.write_report.output,
        rules.write_gallery.output,
        rules.write_texts.output,
        SUMMARY_TABLES,
        CIRCUIT_TABLES,
        ATTENTION_TABLES,
        SPARSITY_TABLES,
        CLAIM_TABLES,
        collect(rules.draw_circuit_page.output.page, model=MODELS),
        template="workflow/report/run.html.j2",
        style="workflow/report/style.css",
        sort="workflow/report/sort.js",
        defaults="config/study.yaml",
        requirements="envs/requirements.in",
        cards=collect(rules.resolve_model.output.card, model=MODELS),
    output:
        page="reports/run.html",
        frames=collect("reports/tables/run/{frame}.csv", frame=RUN_FRAMES),
        figures=reported_run_figures(),
    log:
        "logs/report/describe_run.log",
    benchmark:
        "logs/benchmarks/report/describe_run.jsonl"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=1500,
        runtime=10,
    params:
        config=config,
        config_digest=CONFIG_DIGEST,
        jobs=lambda wildcards: planned_jobs(workflow.dag, before="describe_run"),
        code=code_digest("report/describe_run"),
    script:
        "../scripts/report/describe_run.py"


rule figures:
    """report: Every figure of the report, as SVG, PNG and PDF under reports/figures/."""
    input:
        [path for section in REPORT.sections for path in figure_paths(section)],
        [path for figure in OWN_FIGURES for path in figure.paths],


rule report:
    """report: Everything to look at: reports/index.html, with figures and executed notebooks, reports/gallery.html, reports/texts.html and reports/run.html."""
    input:
        rules.write_report.output,
        rules.write_gallery.output,
        rules.write_texts.output,
        rules.describe_run.output.page,
