"""Prompts and a steering vector to the table of responses."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from steering_study.artifacts import read_tensors
from steering_study.conditions import CONDITION_OF_LABEL
from steering_study.hooks import Steering
from steering_study.judges.panel import normal_prompts
from steering_study.likelihoods import response_logprobs
from steering_study.models import ChatModel
from steering_study.runs import Response, generate

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
    max_new_tokens: int,
    batch_size: int | None,
) -> pd.DataFrame:
    """The `responses` table of requests, each row steered at its layer and coefficient by the vector of that layer.

    No vectors, no steering.
    """
    steering = None
    if vectors:
        steering = steering_of(requests, torch.stack([vectors[layer] for layer in requests["layer"]]))
    return respond(
        model,
        requests,
        steering,
        method=method,
        max_new_tokens=max_new_tokens,
        batch_size=batch_size,
    )


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
    max_new_tokens: int,
    batch_size: int | None,
) -> pd.DataFrame:
    """The `responses` table of requests under steering, or under none."""
    prompts = model.render(list(requests["prompt"]))
    responses = generate(
        model,
        prompts,
        max_new_tokens=max_new_tokens,
        batch_size=batch_size,
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


def check_room(model: ChatModel, requests: pd.DataFrame, contexts: Mapping[str, str]) -> None:
    """Refuse prompts that leave no room for an answer, alone or in the contexts in which it is scored, before any is made.

    Raises:
        ValueError: naming the first such prompt.
    """
    for behaviour in ("refused", "complied"):
        model.render(normal_prompts(requests, behaviour, contexts))


def add_fluency(
    model: ChatModel, responses: pd.DataFrame, *, contexts: Mapping[str, str], batch_size: int | None
) -> pd.DataFrame:
    """Mean log-likelihood a token of each response, unsteered, where a refusal and where an answer is normal.

    The judge, which needs no model for it, takes the one that fits its verdict. A context may make a prompt longer, so that
    the end of a long response is beyond the model's: then the mean is of the tokens before, and the log says so.

    Args:
        contexts: the config's prompts in which a behaviour is normal, by its name.

    Returns:
        The responses with logprob_refused and logprob_complied, in nats.
    """
    asked = [
        (prompt, tuple(ids))
        for behaviour in ("refused", "complied")
        for prompt, ids in zip(
            normal_prompts(responses, behaviour, contexts), responses["token_ids"], strict=True
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
    found = response_logprobs(model, prompts, texts, batch_size=batch_size)
    means = {key: sum(values) / len(values) for key, values in zip(once, found, strict=True)}
    refused, complied = asked[: len(responses)], asked[len(responses) :]
    return responses.assign(
        logprob_refused=[means[key] for key in refused], logprob_complied=[means[key] for key in complied]
    )


def read_vector(path: Path) -> Float[Tensor, "d_model"]:
    """The vector of a vector file, in float32.

    Raises:
        ValueError: if the file is corrupt or holds anything else.
    """
    return read_tensors(path, names=["vector"])["vector"].to(torch.float32)


def _requests(prompts: pd.DataFrame) -> pd.DataFrame:
    named = prompts.rename(columns={"id": "prompt_id", "source": "dataset", "text": "prompt"})
    return named[["prompt_id", "dataset", "split", "label", "prompt"]].assign(setting=0)
