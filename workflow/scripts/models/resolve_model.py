"""Write the card of a model: revision, shapes, chat template, end-of-turn ids, post-instruction span."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from steering_study.models.card import describe_model
from steering_study.models.chat import Variables
from steering_study.store.artifacts import write_json
from steering_study.store.job import job

if TYPE_CHECKING:
    snakemake: Any = None


def main(
    *, name: str, source: str, revision: str | None, dtype: str, template: Variables, card: Path
) -> None:
    """Describe the model; no weights are loaded."""
    found = describe_model(name, source, revision=revision, dtype=dtype, template=template)
    write_json(card, found.to_json())


if "snakemake" in globals():
    with job(snakemake):
        main(
            name=snakemake.wildcards.model,
            source=snakemake.params.source,
            revision=snakemake.params.revision,
            dtype=snakemake.params.dtype,
            template=snakemake.params.template,
            card=Path(snakemake.output.card),
        )
