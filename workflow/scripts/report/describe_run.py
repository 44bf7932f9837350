"""Write the page on the run: config, models, versions, machine, times, graph of rules, origin of every file."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import yaml

from steering_study.drawing.theme import use_theme
from steering_study.drawing.words import duration
from steering_study.drawing.writing import Link, inline_svg, relative, save_figure, write_page
from steering_study.report.frames import write_frame
from steering_study.report.run.figures.rule_graph import plot_rule_graph
from steering_study.report.run.figures.rule_times import plot_rule_times
from steering_study.report.run.figures.tables import table_cards, table_files, table_rule_times, table_spread
from steering_study.report.run.files import FILE, NOTHING, file_table, find_seeds
from steering_study.report.run.jobs import Job, read_jobs, rule_graph
from steering_study.report.run.page import RUN_FIGURES, RUN_TITLE
from steering_study.report.run.setting import config_lines, machine, packages, without_folders
from steering_study.report.run.times import job_times, rule_times, spread_over
from steering_study.store.artifacts import read_json
from steering_study.store.devices import count_gpus
from steering_study.store.job import job

if TYPE_CHECKING:
    snakemake: Any = None

CORES = (1, 2, 4, 8, 16)


def main(
    *,
    config: Mapping[str, Any],
    config_digest: str,
    defaults: Path,
    cards: Sequence[Path],
    requirements: Path,
    jobs: Sequence[Mapping[str, Any]],
    root: Path,
    template: Path,
    frames: Sequence[Path],
    figures: Sequence[Path],
    page: Path,
) -> None:
    """Write the page, its frames (`<frame>.csv`) and its figures (`<figure>.svg`, .png or .pdf).

    Args:
        config: the merged config of the run.
        config_digest: names it.
        defaults: the config that it is compared with.
        cards: model.json of each model.
        requirements: packages with the versions that they should have.
        jobs: every job of the study, as `plan.planned_jobs` lists them.
        root: folder that the paths of `jobs` start from.
    """
    planned = read_jobs(jobs)
    models = [without_folders(read_json(path)) for path in cards]
    made = make_frames(planned, root, revisions={card["name"]: card["revision"] for card in models})
    for path in frames:
        write_frame(path, made[path.stem], frame=path.stem)
    draw_figures(made, figures)
    files = made["files"]
    shown = without_folders(config)
    write_page(
        template,
        page,
        {
            "title": RUN_TITLE,
            "figure_titles": RUN_FIGURES,
            "config_digest": config_digest,
            "config": config_lines(shown, without_folders(yaml.safe_load(defaults.read_text("utf-8")))),
            "seeds": find_seeds(shown),
            "packages": packages(requirements.read_text("utf-8")),
            "machine": machine(n_gpus=count_gpus()),
            "cards": table_cards(models),
            "svg": {path.stem: inlined(path) for path in figures if path.suffix == ".svg"},
            "files_of": {
                name: links_to([path for path in figures if path.stem == name], page) for name in RUN_FIGURES
            },
            "frames": links_to(frames, page),
            "n_jobs": len(planned),
            "n_rules": len({planned_job.rule for planned_job in planned}),
            "rule_times": table_rule_times(made["rule_times"]),
            "files": table_files(
                files, {path: relative(root / path, folder=page.parent) for path in files["path"]}
            ),
            "counts": count_files(files),
            **time_facts(planned, made["job_times"]),
        },
    )


def draw_figures(frames: Mapping[str, pd.DataFrame], paths: Sequence[Path]) -> None:
    """Draw and save the figures of the page."""
    use_theme()
    drawn = {
        "rule_graph": plot_rule_graph(frames["stages"], frames["links"]),
        "rule_times": plot_rule_times(frames["rule_times"]),
    }
    for path in paths:
        save_figure(drawn[path.stem], path)


def make_frames(jobs: Sequence[Job], root: Path, *, revisions: Mapping[str, str]) -> dict[str, pd.DataFrame]:
    """The frames of the page, by their names."""
    stages, links = rule_graph(jobs)
    times = job_times(jobs, root)
    return {
        "stages": stages,
        "links": links,
        "job_times": times,
        "rule_times": rule_times(times),
        "files": file_table(jobs, root, revisions=revisions),
    }


def time_facts(jobs: Sequence[Job], times: pd.DataFrame) -> dict[str, Any]:
    """Time of all jobs together, the longest chain of them, and the wall time on some numbers of cores."""
    seconds, needs = list(times["seconds"]), [each.needs for each in jobs]
    total = float(times["seconds"].sum())
    spread = {cores: spread_over(seconds, needs, cores=cores) for cores in CORES}
    return {
        "total": duration(total),
        "measured": int(times["seconds"].notna().sum()),
        "chain": duration(spread_over(seconds, needs, cores=len(jobs))),
        "spread": table_spread(spread, total),
    }


def count_files(files: pd.DataFrame) -> dict[str, int]:
    """How many files say where they come from, and of how many an input is another one by now."""
    return {
        "all": len(files),
        "carrying": int((files["known_from"] == FILE).sum()),
        "missing": int((files["known_from"] == NOTHING).sum()),
        "changed": int((files["changed"] > 0).sum()),
    }


def links_to(files: Sequence[Path], page: Path) -> list[Link]:
    """Links of a page to files, by their names."""
    return [Link(path.name, relative(path, folder=page.parent)) for path in files]


def inlined(svg: Path) -> str:
    """A saved figure as an element of the page."""
    return inline_svg(svg.read_text("utf-8"), prefix=f"run-{svg.stem}", label=RUN_FIGURES[svg.stem])


if "snakemake" in globals():
    with job(snakemake):
        main(
            config=snakemake.params.config,
            config_digest=snakemake.params.config_digest,
            defaults=Path(snakemake.input.defaults),
            cards=[Path(path) for path in snakemake.input.cards],
            requirements=Path(snakemake.input.requirements),
            jobs=snakemake.params.jobs,
            root=Path(),
            template=Path(snakemake.input.template),
            frames=[Path(path) for path in snakemake.output.frames],
            figures=[Path(path) for path in snakemake.output.figures],
            page=Path(snakemake.output.page),
        )
