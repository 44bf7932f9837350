# What did the study find? Needs the summary tables; makes tidy frames, figures, executed notebooks and the page
# reports/index.html, section by section of workflow/report/sections.yaml, and beside it reports/gallery.html, by the
# paper's numbers, and reports/run.html: how it was run.


for section in REPORT.sections:

    rule:
        """Tidy frames and figures of one section of the report."""
        name:
            f"draw_figures_{section.name}"
        input:
            **section_inputs(section, MODELS, METHODS),
            cards=collect(rules.resolve_model.output.card, model=MODELS),
            published=list(section.published.values()),
            sections=SECTIONS,
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
            section=section.name,
            models=MODELS,
            tables=list(section.tables),
            published=dict(section.published),
            own=[
                {"figure": each.figure, "model": each.model, "method": each.method, "paths": each.paths}
                for each in own_figures_of(section)
            ],
            code=code_digest("draw_figures"),
        script:
            "../scripts/draw_figures.py"


rule render_notebook:
    """Executed notebook of a section of the report, and the same as HTML."""
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
        code=code_digest("render_notebook"),
    script:
        "../scripts/render_notebook.py"


rule write_report:
    """The page: every figure and table beside the published one, and where each number comes from."""
    input:
        SECTION_TABLES,
        rules.check_results.output.outcome,
        [path for section in REPORT.sections for path in frame_paths(section) + figure_paths(section)],
        [notebook_path(section, suffix) for section in REPORT.sections for suffix in ("ipynb", "html")],
        source_paths(REPORT),
        sections=SECTIONS,
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
        code=code_digest("write_report"),
    script:
        "../scripts/write_report.py"


rule write_gallery:
    """The paper's figures and tables by number, each model by itself, and where each comes from."""
    input:
        SECTION_TABLES,
        [path for section in REPORT.sections for path in frame_paths(section)],
        [path for figure in OWN_FIGURES for path in figure.paths],
        sections=SECTIONS,
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
        code=code_digest("write_gallery"),
    script:
        "../scripts/write_gallery.py"


rule describe_run:
    """The page on the run: config, models, versions, machine, times, graph of rules, origin of every file."""
    input:
        rules.write_report.output,
        rules.write_gallery.output,
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
        code=code_digest("describe_run"),
    script:
        "../scripts/describe_run.py"


rule figures:
    """Every figure of the report, as SVG, PNG and PDF under reports/figures/."""
    input:
        [path for section in REPORT.sections for path in figure_paths(section)],
        [path for figure in OWN_FIGURES for path in figure.paths],


rule report:
    """The report: reports/index.html, with figures and executed notebooks, reports/gallery.html and reports/run.html."""
    input:
        rules.write_report.output,
        rules.write_gallery.output,
        rules.describe_run.output.page,
