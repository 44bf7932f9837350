"""Write the one page of the report: every figure and table beside the published one, and where it comes from."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from markupsafe import Markup

from steering_study.drawing.theme import model_label
from steering_study.drawing.words import listing, percent
from steering_study.drawing.writing import Link, inline_svg, relative, write_page
from steering_study.plain_text import spells
from steering_study.prompts.schemas import PROMPTS
from steering_study.report.exhibits import FACTS, LEADS, TABLES
from steering_study.report.frames import read_frame
from steering_study.report.sections import (
    FORMATS,
    Exhibit,
    Section,
    figure_path,
    frame_path,
    notebook_path,
    read_report,
    section_inputs,
)
from steering_study.report.sources import Source, function_source, makers, rule_files, rule_source
from steering_study.store.artifacts import read_json, read_table
from steering_study.store.job import job

if TYPE_CHECKING:
    snakemake: Any = None


@dataclass(frozen=True)
class Shown:
    """An exhibit, ready for the page."""

    exhibit: Exhibit
    anchor: str
    body: Markup
    caption: str
    equation: str
    tables: list[Link]
    rules: list[tuple[Link, Source]]
    functions: list[tuple[Link, Source]]
    method: Link
    files: list[Link]


@dataclass(frozen=True)
class ShownSection:
    """A section, ready for the page."""

    section: Section
    leads: list[str]
    exhibits: list[Shown]
    notebooks: list[Link]


def main(
    *,
    sections: Path,
    template: Path,
    models: Sequence[str],
    methods: Sequence[str],
    cards: Sequence[Path],
    prompts: Path,
    rules: Sequence[Path],
    root: Path,
    confidence: float,
    faithful: float,
    selection: Mapping[str, Any],
    config_digest: str,
    out: Path,
) -> None:
    """Write the page.

    Args:
        cards: model.json of each model, in the order of `models`.
        rules: files with the rules that made the tables.
        root: folder that the paths of `steering_study.report.sections` start from.
        confidence: level of every interval.
        faithful: faithfulness that the minimum-faithful circuit reaches.
        selection: rule, min_induce, max_kl and, by model, max_depth of the choice of the DIM candidate.
        config_digest: names the merged config of this run.

    Raises:
        ValueError: if a rule, function or fact that the page names does not exist.
    """
    report = read_report(sections)
    link = partial(relative, folder=out.parent)
    shown = [
        show_section(
            section,
            section_inputs(section, models, methods),
            rules,
            root=root,
            link=link,
            facts={
                "confidence": percent(confidence),
                "faithful": f"{faithful:g}",
                **selection_facts(selection),
            },
        )
        for section in report.sections
    ]
    described, asked = [read_json(path) for path in cards], read_table(prompts, PROMPTS)
    write_page(
        template,
        out,
        {
            "report": report,
            "sections": shown,
            "cards": described,
            "prompts": count_prompts(asked),
            "spelled": count_spelled(asked, described),
            "prompts_link": link(prompts),
            "card_links": [link(path) for path in cards],
            "config_digest": config_digest,
        },
    )


def selection_facts(selection: Mapping[str, Any]) -> dict[str, str]:
    """Words for the rule that chose the DIM candidate."""
    loss = {
        "paper": "σ(bypass) − σ(induce)",
        "arditi": "refusal metric under ablation",
        "flips": "− share of texts that flip",
    }[selection["rule"]]
    depths = selection["max_depth"]
    shared = {f"{depth:g}" for depth in depths.values()}
    each = listing(f"{depth:g} ({model_label(model)})" for model, depth in depths.items())
    return {
        "loss": loss,
        "min_induce": f"{selection['min_induce']:g}",
        "max_kl": f"{selection['max_kl']:g}",
        "max_depth": shared.pop() if len(shared) == 1 else each,
    }


def show_section(
    section: Section,
    inputs: Mapping[str, Sequence[str]],
    rules: Sequence[Path],
    *,
    root: Path,
    link: Callable[[Path], str],
    facts: Mapping[str, str],
) -> ShownSection:
    """Read the section's frames and figures and put every exhibit together."""
    frames = {frame: read_frame(root / frame_path(section, frame), frame=frame) for frame in section.frames}
    known = {**facts, **FACTS[section.name](frames)}
    return ShownSection(
        section=section,
        leads=LEADS[section.name](frames),
        exhibits=[
            show_exhibit(exhibit, section, inputs, rules, frames=frames, facts=known, root=root, link=link)
            for exhibit in section.exhibits
        ],
        notebooks=[
            Link(words, link(root / notebook_path(section, suffix)))
            for suffix, words in (("html", "executed notebook"), ("ipynb", "to run it"))
        ],
    )


def show_exhibit(
    exhibit: Exhibit,
    section: Section,
    inputs: Mapping[str, Sequence[str]],
    rules: Sequence[Path],
    *,
    frames: Mapping[str, pd.DataFrame],
    facts: Mapping[str, str],
    root: Path,
    link: Callable[[Path], str],
) -> Shown:
    """An exhibit with its caption filled in and its sources found."""
    anchor = f"{section.name}-{exhibit.name}"
    paths = [root / path for name in exhibit.tables for path in inputs[name]]
    files = [Link(f"{frame}.csv", link(root / frame_path(section, frame))) for frame in exhibit.frames]
    if exhibit.kind == "figure":
        svg = (root / figure_path(section, exhibit.name, "svg")).read_text("utf-8")
        body = inline_svg(svg, prefix=anchor, label=exhibit.title)
        files += [
            Link(suffix.upper(), link(root / figure_path(section, exhibit.name, suffix)))
            for suffix in FORMATS
        ]
    else:
        shown = [frames[frame] for frame in exhibit.frames]
        ways = (
            {"root": link(root), "rules": {name: link(path) for name, path in rule_files(rules).items()}}
            if exhibit.kind == "linked"
            else {}
        )
        body = TABLES[exhibit.name](*shown, **ways)
    page, _, heading = exhibit.method.partition("#")
    return Shown(
        exhibit=exhibit,
        anchor=anchor,
        body=body,
        caption=fill(exhibit.caption, facts, anchor),
        equation=fill(exhibit.equation, facts, anchor),
        tables=[Link(path.relative_to(root).as_posix(), link(path)) for path in paths],
        rules=[linked(rule_source(name, rules), link) for name in makers(paths)],
        functions=[linked(function_source(name), link) for name in exhibit.functions],
        method=Link(f"{page}, {heading.replace('-', ' ')}", f"{link(root / page)}#{heading}"),
        files=files,
    )


def linked(source: Source, link: Callable[[Path], str]) -> tuple[Link, Source]:
    """A source with a link to its file."""
    return Link(f"{source.path.name}, line {source.line}", link(source.path)), source


def fill(caption: str, facts: Mapping[str, str], anchor: str) -> str:
    """Put facts into the braces of a caption."""
    try:
        return caption.format_map(facts)
    except KeyError as error:
        raise ValueError(f"caption of {anchor} names {error}, expected one of {', '.join(facts)}") from error


def count_prompts(prompts: pd.DataFrame) -> list[tuple[str, str]]:
    """How many prompts of which kind each split holds."""
    lines = []
    for split, rows in prompts.groupby("split", sort=False):
        by = "source" if split == "test" else "label"
        lines.append((str(split), ", ".join(f"{n} {name}" for name, n in rows.groupby(by).size().items())))
    return lines


def count_spelled(prompts: pd.DataFrame, cards: Sequence[Mapping[str, Any]]) -> str:
    """How many prompts spell a control token of a model; nothing where none does."""
    counts = {
        model_label(card["name"]): int(
            prompts["text"].map(partial(spells, control=card["control_tokens"])).sum()
        )
        for card in cards
    }
    named = [f"{n} ({name})" for name, n in counts.items() if n]
    return (
        f"Prompts that spell a control token of the model, which is read as text: {listing(named)}."
        if named
        else ""
    )


if "snakemake" in globals():
    with job(snakemake):
        main(
            sections=Path(snakemake.input.sections),
            template=Path(snakemake.input.template),
            models=snakemake.params.models,
            methods=snakemake.params.methods,
            cards=[Path(path) for path in snakemake.input.cards],
            prompts=Path(snakemake.input.prompts),
            rules=[Path(path) for path in snakemake.input.rules],
            root=Path(),
            confidence=snakemake.params.confidence,
            faithful=snakemake.params.faithful,
            selection=snakemake.params.selection,
            config_digest=snakemake.params.config_digest,
            out=Path(snakemake.output[0]),
        )
