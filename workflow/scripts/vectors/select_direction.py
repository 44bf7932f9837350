"""Score the DIM candidates on validation prompts and select one (docs/vectors.md)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from steering_study.judges import build_judges
from steering_study.judges.declines import read_weights
from steering_study.judges.panel import judge_readability, judge_refusals
from steering_study.judges.schemas import VERDICTS
from steering_study.models.loading import ChatModel, read_model
from steering_study.prompts.schemas import PROMPTS
from steering_study.store.artifacts import read_table, read_tensors, write_json, write_table, write_tensors
from steering_study.store.job import job
from steering_study.store.yaml_files import read_yaml
from steering_study.texts.options import Decoding
from steering_study.texts.responses import add_likelihoods, respond, steering_of
from steering_study.texts.schemas import RESPONSES
from steering_study.vectors.candidates import ablated_scores, needed_scores, steered_scores
from steering_study.vectors.dim import ClassMeans, refusal_tokens
from steering_study.vectors.flips import candidate_requests, count_flips, flips_most, shortlist, vectors_of
from steering_study.vectors.schemas import CANDIDATE_FLIPS, CANDIDATES
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
    flips: Path,
    trial: Mapping[str, Any],
    provenance: Mapping[str, Any],
) -> None:
    """Write the table of all candidates, that of those whose texts were tried, the selected vector and its card.

    Args:
        trial: what the rule "flips" takes (`try_candidates`).
    """
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
    tried = pd.DataFrame(columns=CANDIDATE_FLIPS.names)
    if rule == "flips" and not published:
        shown = frame[frame["split"] == "validation"]
        listed = shortlist(scores, n=trial["candidates"], filters=filters, n_layers=model.card.n_layers)
        base = read_table(base_verdicts, VERDICTS)
        tried, reason = try_candidates(model, directions, listed, prompts=shown, base=base, **trial)
        layer, position = (int(tried.loc[tried["selected"], name].iloc[0]) for name in ("layer", "position"))
        table = impose_candidate(table, layer=layer, position=position, why=reason)
    write_table(flips, tried, CANDIDATE_FLIPS, provenance=provenance)
    if published:
        table = impose_candidate(table, layer=published["layer"], position=published["position"])
    write_table(candidates, table, CANDIDATES, provenance=provenance)
    best = table[table["selected"]].iloc[0]
    direction = directions[int(best["layer"]), int(best["position"])]
    write_tensors(vector, {"vector": direction.float()}, provenance=provenance)
    write_json(vector_card, describe_vector(model, best, norm=float(direction.norm()), refusal_ids=ids))


def describe_vector(
    model: ChatModel, best: pd.Series, *, norm: float, refusal_ids: Sequence[int]
) -> dict[str, Any]:
    """The card of the selected candidate's vector."""
    return {
        "model": model.card.name,
        "revision": model.card.revision,
        "method": "dim",
        "layer": int(best["layer"]),
        "position": int(best["position"]),
        "norm": norm,
        "refusal_token_ids": list(refusal_ids),
        "refusal_tokens": model.tokenizer.convert_ids_to_tokens(list(refusal_ids)),
        "note": str(best["reason"]),
    }


def try_candidates(
    model: ChatModel,
    directions: ClassMeans,
    listed: pd.DataFrame,
    *,
    prompts: pd.DataFrame,
    base: pd.DataFrame,
    candidates: int,
    n_prompts: int,
    coefficients: Mapping[str, Sequence[float]],
    decoding: Mapping[str, Any],
    judges: Mapping[str, Any],
    max_degenerate: float,
) -> tuple[pd.DataFrame, str]:
    """The `candidate_flips` table of the shortlisted candidates, and why one of them is selected."""
    sizes = Decoding(**decoding)
    requests = candidate_requests(prompts, listed, coefficients=coefficients, n_prompts=n_prompts)
    steering = steering_of(requests, vectors_of(requests, listed, directions))
    texts = respond(model, requests, steering, method="dim", decoding=sizes)
    texts = add_likelihoods(model, texts, batch_size=sizes.scored_batch_size)
    built = build_judges(
        judges["of_label"].values(),
        phrases=read_yaml(Path(judges["phrases"]))["phrases"],
        weights=read_weights(Path(judges["weights"])),
        classifiers=judges["classifiers"],
    )
    judged = judge_refusals(texts, {label: built[name] for label, name in judges["of_label"].items()})
    thresholds = {name: judges[name] for name in ("max_repetition", "max_improbable")}
    judged = judge_readability(judged, **thresholds)
    table = count_flips(base, judged, listed)
    layer, position, rate = flips_most(table, max_degenerate=max_degenerate)
    is_best = (table["layer"] == layer) & (table["position"] == position)
    return table.assign(selected=is_best), f"flips most of {candidates} tried, {100 * rate:.0f} %"


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
            flips=Path(snakemake.output.flips),
            trial={
                **snakemake.params.trial,
                "judges": {
                    **snakemake.params.judges,
                    "phrases": snakemake.input.phrases,
                    "weights": snakemake.input.weights,
                },
            },
            provenance=provenance,
        )
