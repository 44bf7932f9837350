"""Language models as classifiers: one prompt, one next token, one of a few answers.

    share(answer) = Σ_{t spells the answer} exp(logit_t) / Σ_{t spells any answer} exp(logit_t)

with the logits behind the last token of the prompt, in float32. A token spells an answer with or without a
leading space, so that a verdict does not hang on how the tokenizer splits the end of the prompt.

Models are read from safetensors alone and run no code of their own repository.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from safetensors import SafetensorError
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer

from steering_study.judges.verdicts import ClassifierSettings
from steering_study.models.adapters import has_adapter, merge_adapter, read_adapter
from steering_study.models.chat import STAND_IN, control_tokens, encode_texts, woven
from steering_study.models.hub import check_weight_files, refuse_code
from steering_study.models.loading import load_weights, require_whole
from steering_study.plain_text import spells

logger = logging.getLogger("steering_study")

# How tokenizers write a leading space: byte-level, sentencepiece, and not at all.
_SPACE_MARKS = ("Ġ", "▁", "")


@dataclass(frozen=True)
class Filled:
    """A judge's prompt with a prompt and a response put into it.

    `around` is the judge's own: before the first text, between the two, and after the last.
    """

    around: tuple[str, ...]
    texts: tuple[str, ...]

    def then(self, more: str) -> Filled:
        """A prompt with more of the judge's own text at its end."""
        return replace(self, around=(*self.around[:-1], self.around[-1] + more))


def fill(form: Callable[[str, str], str], prompt: str, response: str) -> Filled:
    """Put a prompt and a response into a judge's prompt, which may strip them of white space."""
    around = tuple(form(STAND_IN, STAND_IN).split(STAND_IN))
    for texts in ((prompt, response), (prompt.strip(), response.strip())):
        if woven(around, texts) == form(prompt, response):
            return Filled(around, texts)
    raise AssertionError("a judge's prompt holds prompt and response once, in this order")


def encode(tokenizer: Any, filled: Filled) -> list[int]:
    """Token ids; what prompt and response spell is text, also where it looks like a control token of the judge."""
    if spells("".join(filled.texts), control_tokens(tokenizer)):
        return list(encode_texts(tokenizer, filled.around, filled.texts))
    return tokenizer(woven(filled.around, filled.texts), add_special_tokens=False).input_ids


def check_lengths(sequences: Sequence[Sequence[int]], model: Any, *, name: str) -> None:
    """Refuse texts beyond a judge's context, of which it was taught nothing.

    Raises:
        ValueError: with the longest of them.
    """
    context = getattr(model.config, "max_position_embeddings", None)
    longest = max(map(len, sequences), default=0)
    if context is not None and longest > context:
        raise ValueError(
            f"judge {name!r}: a prompt with its response has {longest} tokens, the judge's context is {context}; lower "
            "generation.max_new_tokens, leave the prompt out, or take another judge"
        )


def check_scores(scores: Tensor, *, name: str) -> Tensor:
    """The scores of a judge, unless one is no number: compared with a threshold, it would pass for a verdict.

    Raises:
        ValueError: saying so.
    """
    if not scores.isfinite().all():
        raise ValueError(
            f"judge {name!r} gives scores that are not finite; take dtype float32 or bfloat16 for it, or fetch it again"
        )
    return scores


@dataclass(frozen=True)
class NextTokenClassifier:
    """A judge that is a language model asked for one token. `tokenizer` and `model` are those of transformers."""

    name: str
    tokenizer: Any
    model: Any
    batch_size: int

    def answer_shares(
        self,
        texts: Sequence[Filled],
        answers: Sequence[tuple[str, ...]],
        *,
        space_marks: tuple[str, ...] = _SPACE_MARKS,
    ) -> Float[Tensor, "text answer"]:
        """Probability of each answer behind each text, among these answers only.

        Args:
            texts: the judge's prompts, without the beginning-of-sequence token.
            answers: the spellings of each answer; a spelling is one token, or it is not counted.
            space_marks: what may stand before a spelling in the vocabulary.
        """
        token_ids = [answer_token_ids(self.tokenizer, spellings, space_marks) for spellings in answers]
        # the beginning of sequence in front, whatever the tokenizer adds by itself
        sequences = [[self.tokenizer.bos_token_id, *encode(self.tokenizer, text)] for text in texts]
        check_lengths(sequences, self.model, name=self.name)
        shares, n_other = torch.zeros(len(texts), len(answers)), 0
        for rows in in_batches(sequences, self.batch_size):
            logits = self._next_token_logits([sequences[row] for row in rows])
            by_answer = torch.stack([logits[:, ids].logsumexp(dim=-1) for ids in token_ids], dim=-1)
            shares[rows] = check_scores(by_answer.softmax(dim=-1), name=self.name)
            known = torch.tensor([token_id for ids in token_ids for token_id in ids])
            n_other += int((~torch.isin(logits.argmax(dim=-1), known)).sum())
        if n_other:
            logger.warning(
                "%d of %d texts: the judge's likeliest next token is none of its answers %s; "
                "is it the checkpoint that this prompt belongs to?",
                n_other,
                len(texts),
                [spellings[0] for spellings in answers],
            )
        return shares

    @torch.inference_mode()
    def _next_token_logits(self, sequences: list[list[int]]) -> Float[Tensor, "batch d_vocab"]:
        """Logits behind the last token of each sequence, in float32 on the CPU."""
        ids, mask = pad(sequences, side="left")
        positions = (mask.cumsum(dim=-1) - 1).clamp(min=0)
        device = self.model.device
        output = self.model(
            input_ids=ids.to(device),
            attention_mask=mask.to(device),
            position_ids=positions.to(device),
            logits_to_keep=1,  # the logits of whole prompts would be gigabytes
            use_cache=False,
        )
        return output.logits[:, -1].float().cpu()


def answer_token_ids(tokenizer: Any, spellings: Sequence[str], space_marks: Sequence[str]) -> list[int]:
    """Ids of the vocabulary's tokens that are one of the spellings, with any of the marks in front.

    Raises:
        ValueError: if none is a single token of the vocabulary.
    """
    vocabulary = tokenizer.get_vocab()
    pieces = [mark + spelling for spelling in spellings for mark in space_marks]
    ids = sorted({vocabulary[piece] for piece in pieces if piece in vocabulary})
    if not ids:
        raise ValueError(
            f"answer {spellings[0]!r} is no single token of the judge's tokenizer (tried {pieces}); "
            "is the model the checkpoint that this judge expects?"
        )
    return ids


def pad(
    sequences: Sequence[Sequence[int]], *, side: Literal["left", "right"]
) -> tuple[Int[Tensor, "batch pos"], Int[Tensor, "batch pos"]]:
    """Token ids as a rectangle, padded on that side, and the mask that is 0 on the padding."""
    length = max(len(sequence) for sequence in sequences)
    ids = torch.zeros(len(sequences), length, dtype=torch.int64)  # masked, so any id will do
    mask = torch.zeros_like(ids)
    for row, sequence in enumerate(sequences):
        start = length - len(sequence) if side == "left" else 0
        ids[row, start : start + len(sequence)] = torch.tensor(sequence)
        mask[row, start : start + len(sequence)] = 1
    return ids, mask


def in_batches(sequences: Sequence[Sequence[int]], batch_size: int) -> list[list[int]]:
    """Row numbers in batches of texts of similar length, the longest first: memory fails at once or never."""
    order = sorted(range(len(sequences)), key=lambda row: -len(sequences[row]))
    return [order[start : start + batch_size] for start in range(0, len(order), batch_size)]


def load_next_token_classifier(
    settings: ClassifierSettings, *, name: str, hub_id: str
) -> NextTokenClassifier:
    """Load a language model, merging a low-rank adapter into it if that is what the source holds.

    Raises:
        ValueError: if the model or its base cannot be reached or read, or its tokenizer has no beginning of
            sequence.
    """
    tokenizer, model = load_tokenizer_and_model(settings, AutoModelForCausalLM, name=name, hub_id=hub_id)
    if tokenizer.bos_token_id is None:
        raise ValueError(f"the tokenizer of judge {name!r} has no beginning-of-sequence token; see {hub_id}")
    return NextTokenClassifier(name=name, tokenizer=tokenizer, model=model, batch_size=settings.batch_size)


def load_tokenizer_and_model(
    settings: ClassifierSettings, auto_class: Any, *, name: str, hub_id: str
) -> tuple[Any, Any]:
    """Load what the settings name, or the published checkpoint, onto its device.

    Raises:
        ValueError: if it cannot be reached or read, or its weights are not all there, not all read or not finite.
    """
    source, revision = settings.model or hub_id, settings.revision
    dtype = getattr(torch, settings.dtype, None)
    if not isinstance(dtype, torch.dtype):
        raise ValueError(
            f"dtype={settings.dtype!r} of judge {name!r} is no dtype of torch; expected e.g. bfloat16"
        )
    try:
        tokenizer = AutoTokenizer.from_pretrained(source, revision=revision, trust_remote_code=False)
        adapter = read_adapter(source, revision=revision) if has_adapter(source, revision=revision) else None
        weights, weights_revision = source, revision
        if adapter is not None:
            weights, weights_revision = settings.base_model or adapter.base_model, settings.base_revision
        loaded = load_weights(auto_class, weights, revision=weights_revision, dtype=dtype)
    except (OSError, ValueError, SafetensorError) as error:
        refuse_code(error, f"judge {name!r}: {source}")
        raise ValueError(
            f"judge {name!r}: {source} at revision {revision or 'default'} cannot be loaded. If it is gated, accept "
            f"the licence at https://huggingface.co/{hub_id} and set HF_TOKEN; offline, give a local folder "
            f"with config, tokenizer and safetensors as its model. Reason: {' '.join(str(error).split())}"
        ) from error
    model = require_whole(loaded, name=f"judge {name!r}")
    for folder in {source, weights}:
        check_weight_files(f"judge {name!r}", Path(folder))
    if adapter is not None:
        merge_adapter(model, adapter)
    return tokenizer, model.to(settings.device).eval()
