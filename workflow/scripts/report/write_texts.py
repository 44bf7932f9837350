"""Write the page of texts: every text of the study with its verdicts and what made them, to search and to label."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steering_study.drawing.writing import in_script, write_page
from steering_study.judges.declines import DeclinesJudge, read_weights
from steering_study.judges.schemas import VERDICTS
from steering_study.models.loading import load_tokenizer
from steering_study.models.spans import token_spans
from steering_study.report.texts import gather_texts, marks_of, page_values
from steering_study.store.artifacts import read_json, read_table
from steering_study.store.job import job
from steering_study.store.yaml_files import read_yaml
from steering_study.texts.schemas import RESPONSES

if TYPE_CHECKING:
    snakemake: Any = None


def main(
    *,
    cards: Sequence[Path],
    responses: Sequence[Path],
    verdicts: Sequence[Path],
    phrases: Path,
    weights: Path,
    max_repetition: float,
    max_improbable: float,
    template: Path,
    page: Path,
) -> None:
    """Write the page; it works from disk and loads nothing.

    Args:
        responses, verdicts: files as results/{model}/{method}/{run}/, in the same order.
    """
    described = {card["name"]: card for card in map(read_json, cards)}
    files = [
        (said.parts[-4], said.parts[-2], read_table(said, RESPONSES), read_table(judged, VERDICTS))
        for said, judged in zip(responses, verdicts, strict=True)
    ]
    texts = gather_texts(files)
    said, judge = read_yaml(phrases)["phrases"], DeclinesJudge(read_weights(weights))
    spans = {
        name: partial(token_spans, load_tokenizer(name, card["source"], revision=card["revision"]))
        for name, card in described.items()
    }
    marks = [
        marks_of(
            row,
            phrases=said,
            declines=judge if judge.name in (row["judge"], row["second_judge"]) else None,
            spans=spans[row["model"]],
        )
        for row in texts.to_dict("records")
    ]
    values = {**page_values(texts, marks), "max_repetition": max_repetition, "max_improbable": max_improbable}
    write_page(template, page, {"study": in_script(values), "n_texts": len(texts)})


if "snakemake" in globals():
    with job(snakemake):
        main(
            cards=[Path(path) for path in snakemake.input.cards],
            responses=[Path(path) for path in snakemake.input.responses],
            verdicts=[Path(path) for path in snakemake.input.verdicts],
            phrases=Path(snakemake.input.phrases),
            weights=Path(snakemake.input.weights),
            max_repetition=snakemake.params.max_repetition,
            max_improbable=snakemake.params.max_improbable,
            template=Path(snakemake.input.template),
            page=Path(snakemake.output.page),
        )
