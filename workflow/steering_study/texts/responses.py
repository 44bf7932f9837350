"""Prompts and a steering vector to the table of responses."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from steering_study.models.decoding import Response, generate
from steering_study.models.hooks import Steering
from steering_study.models.likelihoods import response_logprobs
from steering_study.models.loading import ChatModel
from steering_study.texts.conditions import CONDITION_OF_LABEL, normal_prompts
from steering_study.texts.options import Decoding

logger = logging.getLogger("steering_study")


def base_requests(prompts: pd.DataFrame) -> pd.DataFrame:
    """One unsteered response to every prompt."""
    return _requests(prompts).assign(condition="base", layer=-1, coefficient=0.0)


def steered_requests(
    prompts: pd.DataFrame,
    *,
    layers: Sequence[int],
    coefficients: Mapping[str, Sequence[float]],
    bystanders: bool = False,
) -> pd.DataFrame:
    """A response to every prompt at every layer and coefficient of its condition: induce refusal, or bypass it.

    Args:
        bystanders: also harmless prompts under bypass, which should leave them alone.
    """
    condition = prompts["label"].map(CONDITION_OF_LABEL)
    targets = {name: _requests(prompts[condition == name]) for name in coefficients}
    if bystanders:
        targets["bypass"] = pd.concat([targets["bypass"], targets["induce"]])
    parts = [
        targets[name].assign(condition=name, layer=layer, coefficient=float(value))
        for layer in layers
        for name, values in coefficients.items()
        for value in values
    ]
    return pd.concat(parts, ignore_index=True)


def generate_responses(
    model: ChatModel,
    requests: pd.DataFrame,
    *,
    method: str,
    vectors: Mapping[int, Float[Tensor, "d_model"]],
    decoding: Decoding,
) -> pd.DataFrame:
    """The `responses` table of requests, each row steered at its layer and coefficient by the vector of that layer.

    No vectors, no steering.
    """
    steering = None
    if vectors:
        steering = steering_of(requests, torch.stack([vectors[layer] for layer in requests["layer"]]))
    return respond(model, requests, steering, method=method, decoding=decoding)


def steering_of(requests: pd.DataFrame, vectors: Float[Tensor, "request d_model"]) -> Steering:
    """A vector a request, at its layer and coefficient."""
    return Steering(
        vectors, torch.tensor(list(requests["coefficient"])), torch.tensor(list(requests["layer"]))
    )


def respond(
    model: ChatModel,
    requests: pd.DataFrame,
    steering: Steering | None,
    *,
    method: str,
    decoding: Decoding,
) -> pd.DataFrame:
    """The `responses` table of requests under steering, or under none."""
    prompts = model.render(list(requests["prompt"]))
    responses = generate(
        model,
        prompts,
        max_new_tokens=decoding.max_new_tokens,
        batch_size=decoding.batch_size,
        steering=steering,
        label=f"{model.card.name} {method}",
    )
    return response_table(model, requests, responses, method=method)


def response_table(
    model: ChatModel, requests: pd.DataFrame, responses: Sequence[Response], *, method: str
) -> pd.DataFrame:
    """Requests with their responses: the `responses` table without the columns of `add_fluency`."""
    texts = [model.tokenizer.decode(list(r.token_ids), skip_special_tokens=True) for r in responses]
    return requests.assign(
        method=method,
        text=[str(text).strip() for text in texts],
        token_ids=[list(r.token_ids) for r in responses],
        logprobs=[list(r.logprobs) for r in responses],
        finished=[r.finished for r in responses],
    )


def check_room(model: ChatModel, requests: pd.DataFrame, decoding: Decoding) -> None:
    """Refuse prompts that leave no room for an answer, alone or in the contexts in which it is scored, before any is made.

    Raises:
        ValueError: naming the first such prompt.
    """
    for behaviour in ("refused", "complied"):
        model.render(normal_prompts(requests, behaviour, decoding.contexts))


def add_fluency(model: ChatModel, responses: pd.DataFrame, decoding: Decoding) -> pd.DataFrame:
    """Mean log-likelihood a token of each response, unsteered, where a refusal and where an answer is normal.

    The judge, which needs no model for it, takes the one that fits its verdict. A context may make a prompt longer, so that
    the end of a long response is beyond the model's: then the mean is of the tokens before, and the log says so.

    Returns:
        The responses with logprob_refused and logprob_complied, in nats.
    """
    asked = [
        (prompt, tuple(ids))
        for behaviour in ("refused", "complied")
        for prompt, ids in zip(
            normal_prompts(responses, behaviour, decoding.contexts), responses["token_ids"], strict=True
        )
    ]
    once = list(dict.fromkeys(asked))  # steered at several coefficients, many texts are the same
    prompts = model.render([prompt for prompt, _ in once])
    texts = [ids[: model.card.context - len(prompt)] for prompt, (_, ids) in zip(prompts, once, strict=True)]
    if cut := sum(len(text) < len(ids) for text, (_, ids) in zip(texts, once, strict=True)):
        logger.info(
            "%d of %d texts reach beyond the context of %d tokens in a prompt of model_options.<name>.contexts; "
            "their fluency is that of the tokens before its end",
            cut,
            len(texts),
            model.card.context,
        )
    logprobs = response_logprobs(model, prompts, texts, batch_size=decoding.scored_batch_size)
    means = {key: sum(values) / len(values) for key, values in zip(once, logprobs, strict=True)}
    refused, complied = asked[: len(responses)], asked[len(responses) :]
    return responses.assign(
        logprob_refused=[means[key] for key in refused], logprob_complied=[means[key] for key in complied]
    )


def _requests(prompts: pd.DataFrame) -> pd.DataFrame:
    named = prompts.rename(columns={"id": "prompt_id", "source": "dataset", "text": "prompt"})
    return named[["prompt_id", "dataset", "split", "label", "prompt"]].assign(setting=0)
