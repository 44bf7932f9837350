"""Score the DIM candidates on validation prompts and select one (docs/vectors.md)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steering_study.judges.schemas import VERDICTS
from steering_study.models.loading import ChatModel, read_model
from steering_study.prompts.schemas import PROMPTS
from steering_study.store.artifacts import read_table, read_tensors, write_json, write_table, write_tensors
from steering_study.store.job import job
from steering_study.texts.schemas import RESPONSES
from steering_study.vectors.candidates import ablated_scores, needed_scores, steered_scores
from steering_study.vectors.dim import refusal_tokens
from steering_study.vectors.schemas import CANDIDATES
from steering_study.vectors.selection import Filters, SelectionRule, impose_candidate, select_candidate

if TYPE_CHECKING:
    snakemake: Any = None


def main(
    *,
    prompts: Path,
    card: Path,
    means: Path,
    base_responses: Path,
    base_verdicts: Path,
    rule: SelectionRule,
    every: bool,
    filters: Filters,
    coverage: float,
    tokens: Sequence[str] | None,
    published: Mapping[str, int] | None,
    batch_size: int | None,
    candidates: Path,
    vector: Path,
    vector_card: Path,
    provenance: Mapping[str, Any],
) -> None:
    """Write the table of all candidates, the selected vector and its card."""
    model = read_model(card)
    classes = read_tensors(means)
    directions = classes["harmful"] - classes["harmless"]
    ids = opening_ids(model, tokens) if tokens else observed_openings(base_responses, base_verdicts, coverage)
    frame = read_table(prompts, PROMPTS)
    validation = frame[frame["split"] == "validation"].groupby("label")["text"]
    rendered = {label: model.render(list(texts)) for label, texts in validation}
    given = {
        "harmful": rendered["harmful"],
        "harmless": rendered["harmless"],
        "refusal_ids": ids,
        "batch_size": batch_size,
    }
    chosen_by = {"rule": rule, "filters": filters, "n_layers": model.card.n_layers}
    scores, unmeasured = needed_scores(
        steered_scores(model, directions, **given),
        ablated_scores(model, directions, **given),
        wanted=[(published["layer"], published["position"])] if published else [],
        every=every,
        **chosen_by,
    )
    table = select_candidate(scores, unmeasured=unmeasured, **chosen_by)
    if published:
        table = impose_candidate(table, layer=published["layer"], position=published["position"])
    best = table[table["selected"]].iloc[0]
    layer, position = int(best["layer"]), int(best["position"])
    direction = directions[layer, position]
    write_table(candidates, table, CANDIDATES, provenance=provenance)
    write_tensors(vector, {"vector": direction.float()}, provenance=provenance)
    write_json(
        vector_card,
        {
            "model": model.card.name,
            "revision": model.card.revision,
            "method": "dim",
            "layer": layer,
            "position": position,
            "norm": float(direction.norm()),
            "refusal_token_ids": list(ids),
            "refusal_tokens": model.tokenizer.convert_ids_to_tokens(list(ids)),
            "note": str(best["reason"]),
        },
    )


def observed_openings(base_responses: Path, base_verdicts: Path, coverage: float) -> tuple[int, ...]:
    """Tokens that open the unsteered refusals of harmful training prompts."""
    responses = read_table(base_responses, RESPONSES)
    refused = read_table(base_verdicts, VERDICTS)["refused"]
    rows = responses[(responses["split"] == "train") & (responses["label"] == "harmful") & refused]
    return refusal_tokens([int(ids[0]) for ids in rows["token_ids"]], coverage=coverage)


def opening_ids(model: ChatModel, tokens: Sequence[str]) -> tuple[int, ...]:
    """Ids of tokens named in the config."""
    encoded = model.tokenizer(list(tokens), add_special_tokens=False)["input_ids"]
    for token, ids in zip(tokens, encoded, strict=True):
        if len(ids) != 1:
            raise ValueError(
                f"refusal token {token!r} is {len(ids)} tokens of {model.card.name}, expected one; "
                f"see config: model_options.{model.card.name}.refusal_tokens"
            )
    return tuple(ids[0] for ids in encoded)


if "snakemake" in globals():
    with job(snakemake) as provenance:
        main(
            prompts=Path(snakemake.input.prompts),
            card=Path(snakemake.input.card),
            means=Path(snakemake.input.means),
            base_responses=Path(snakemake.input.base_responses),
            base_verdicts=Path(snakemake.input.base_verdicts),
            rule=snakemake.params.rule,
            every=snakemake.params.every,
            filters=Filters(**snakemake.params.filters),
            coverage=snakemake.params.coverage,
            tokens=snakemake.params.tokens,
            published=snakemake.params.published,
            batch_size=snakemake.params.batch_size,
            candidates=Path(snakemake.output.candidates),
            vector=Path(snakemake.output.vector),
            vector_card=Path(snakemake.output.vector_card),
            provenance=provenance,
        )
