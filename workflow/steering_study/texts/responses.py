"""Prompts and a steering vector to the table of responses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from steering_study.models.decoding import Response, generate
from steering_study.models.hooks import Steering
from steering_study.models.likelihoods import response_logprobs
from steering_study.models.loading import ChatModel
from steering_study.texts.conditions import CONDITION_OF_LABEL
from steering_study.texts.options import Decoding


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
    """Requests with their responses: the `responses` table without the column of `add_likelihoods`."""
    texts = [model.tokenizer.decode(list(r.token_ids), skip_special_tokens=True) for r in responses]
    return requests.assign(
        method=method,
        text=[str(text).strip() for text in texts],
        token_ids=[list(r.token_ids) for r in responses],
        logprobs=[list(r.logprobs) for r in responses],
        finished=[r.finished for r in responses],
    )


def add_likelihoods(model: ChatModel, responses: pd.DataFrame, *, batch_size: int | None) -> pd.DataFrame:
    """How likely the unsteered model finds each token of each response, after the prompt that it answers.

    Args:
        batch_size: most rows of a forward pass; None, as many as memory holds.

    Returns:
        The responses with unsteered_logprobs, in nats.
    """
    asked = list(zip(responses["prompt"], map(tuple, responses["token_ids"]), strict=True))
    once = list(dict.fromkeys(asked))  # steered at several coefficients, many texts are the same
    logprobs = response_logprobs(
        model, model.render([prompt for prompt, _ in once]), [ids for _, ids in once], batch_size=batch_size
    )
    of_text = dict(zip(once, logprobs, strict=True))
    return responses.assign(unsteered_logprobs=[list(of_text[key]) for key in asked])


def _requests(prompts: pd.DataFrame) -> pd.DataFrame:
    named = prompts.rename(columns={"id": "prompt_id", "source": "dataset", "text": "prompt"})
    return named[["prompt_id", "dataset", "split", "label", "prompt"]].assign(setting=0)
