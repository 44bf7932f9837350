"""Chat templates: prompts as token ids, what a template writes around a text, and what it does not.

A template is a program that comes with a model. It writes control tokens (<|eot_id|>, <start_of_turn>) around a user's text. A text that
spells such a token stays text: only what the template itself wrote becomes a control token.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import date
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerBase

from steering_study.models.batches import TokenIds
from steering_study.plain_text import spells

Variables = Mapping[str, Any]  # what a chat template is given beside the message
NO_VARIABLES: Variables = MappingProxyType({})
DATE_PARTS = ("%a", "%A", "%b", "%B", "%d", "%-d", "%m", "%y", "%Y", "%H", "%M", "%S")
STAND_IN = "qxtextqx"  # for a text whose place in a rendered chat is looked for; no template changes it
ALIAS = "\U000f0000{}\U000f0000"  # of a control token, in private-use characters


def render_chat(
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    *,
    context: int,
    variables: Variables = NO_VARIABLES,
) -> list[TokenIds]:
    """Token ids of one-turn user prompts through the model's chat template, ready for its answer.

    The template writes the BOS itself, where the family has one, so none is added by the tokenizer. Ids are those of
    `apply_chat_template`, unless a text spells a control token.

    Raises:
        ValueError: if a prompt does not leave room for an answer in the model's context.
    """
    once = list(dict.fromkeys(texts))  # answered under many settings, a prompt is there many times
    control = control_tokens(tokenizer)
    rendered = [render_text(tokenizer, text, variables=variables) for text in [STAND_IN, *once]]
    of_stand_in, *rows = tokenizer(rendered, add_special_tokens=False)["input_ids"]
    numbers = _control_ids(tokenizer)
    n_own = sum(token_id in numbers for token_id in of_stand_in)  # that the template writes
    ids: dict[str, TokenIds] = {}
    for text, row in zip(once, rows, strict=True):
        ids[text] = tuple(row)
        # a tokenizer that folds case may find one that the text does not spell to the letter
        if spells(text, control) or sum(token_id in numbers for token_id in row) != n_own:
            around, as_written = around_text(tokenizer, text, variables=variables)
            ids[text] = encode_texts(tokenizer, around, [as_written])
        if len(ids[text]) >= context:
            raise ValueError(
                f"prompt {text[:60]!r}... has {len(ids[text])} tokens, the model's context is {context}; "
                "shorten the prompt or leave it out"
            )
    return [ids[text] for text in texts]


def render_text(tokenizer: PreTrainedTokenizerBase, text: str, *, variables: Variables = NO_VARIABLES) -> str:
    """The prompt as the model sees it, in words.

    Args:
        variables: what the template is given; `date` (ISO) is what it takes for today.

    Raises:
        ValueError: if the template fails, or may write today's date and none is given: prompts would change from day to day.
    """
    return _render(tokenizer, [{"role": "user", "content": text}], prompt=True, variables=variables)


def _render(
    tokenizer: PreTrainedTokenizerBase,
    messages: Sequence[Mapping[str, str]],
    *,
    prompt: bool,
    variables: Variables,
) -> str:
    template = tokenizer.get_chat_template()
    if "strftime_now" in template:
        template = _clock(variables) + template
    try:
        return tokenizer.apply_chat_template(  # pyright: ignore[reportReturnType]
            messages,  # pyright: ignore[reportArgumentType]
            chat_template=template,
            tokenize=False,
            add_generation_prompt=prompt,
            **variables,
        )
    except Exception as error:  # a template is somebody's program, and raises what it likes
        turns = " and ".join(message["role"] for message in messages)
        raise ValueError(
            f"the chat template fails on a chat of one {turns} turn ({type(error).__name__}: {error}); give it what it needs in "
            "config: prompts.template, correct it in the model's folder, or take another model"
        ) from error


def _clock(variables: Variables) -> str:
    """A macro that stands in for `strftime_now` of transformers, which takes no function from outside."""
    if "date" not in variables:
        raise ValueError("the chat template writes today's date; give one in config: prompts.template.date")
    day = date.fromisoformat(variables["date"])
    parts = (f"replace('{each}', '{day.strftime(each)}')" for each in DATE_PARTS)
    return f"{{% macro strftime_now(layout) %}}{{{{ layout | {' | '.join(parts)} }}}}{{% endmacro %}}"


def post_instruction_ids(
    tokenizer: PreTrainedTokenizerBase, *, variables: Variables = NO_VARIABLES
) -> TokenIds:
    """Tokens that the template writes after the user's text: what every prompt ends with.

    Found as the longest common ending of prompts whose texts end differently.

    Raises:
        ValueError: if the template leaves the text out, or writes nothing after it.
    """
    texts = ("one", "Two?", "3", "four.")
    rows = [render_text(tokenizer, text, variables=variables) for text in texts]
    if left_out := [text for text, row in zip(texts, rows, strict=True) if text not in row]:
        raise ValueError(
            f"the chat template leaves the user's text out: {left_out[0]!r} is not in what it writes; correct the "
            "chat template in the model's folder"
        )
    ids = tokenizer(rows, add_special_tokens=False)["input_ids"]
    shared = 0
    while all(len(row) > shared and row[-1 - shared] == ids[0][-1 - shared] for row in ids):
        shared += 1
    if shared == 0:
        raise ValueError("the chat template writes nothing after the user's text; expected an answer prefix")
    return tuple(ids[0][len(ids[0]) - shared :])


def closing_id(tokenizer: PreTrainedTokenizerBase, *, variables: Variables = NO_VARIABLES) -> int | None:
    """The control token that the template closes an answer with.

    Where the template takes no answers, or closes the last one with none, that which it writes behind the user's text; None
    where there is none either.
    """
    control = set(control_tokens(tokenizer).values())
    answered = [{"role": "user", "content": "one"}, {"role": "assistant", "content": STAND_IN}]
    rendered = []
    with suppress(ValueError):  # a template may take user turns alone
        rendered.append(_render(tokenizer, answered, prompt=False, variables=variables))
    rendered.append(render_text(tokenizer, STAND_IN, variables=variables))
    for text in rendered:
        _, is_there, behind = text.rpartition(STAND_IN)
        ids = tokenizer(behind, add_special_tokens=False)["input_ids"] if is_there else []
        if found := [each for each in ids if each in control]:
            return found[0]
    return None


def control_tokens(tokenizer: PreTrainedTokenizerBase) -> dict[str, int]:
    """Ids of the tokens that steer a chat, by what they are spelled: special ones, and those that the template writes."""
    template = tokenizer.get_chat_template() if tokenizer.chat_template else ""
    return {
        token.content: number
        for number, token in tokenizer.added_tokens_decoder.items()
        if token.special or (token.content.strip() and token.content in template)
    }


def _control_ids(tokenizer: PreTrainedTokenizerBase) -> set[int]:
    """Ids of the control tokens, without the one for signs that the vocabulary lacks, which any text may bring about."""
    return {number for number in control_tokens(tokenizer).values() if number != tokenizer.unk_token_id}


def around_text(
    tokenizer: PreTrainedTokenizerBase, text: str, *, variables: Variables = NO_VARIABLES
) -> tuple[list[str], str]:
    """What the template writes before and after a text, and the text as it writes it, perhaps without white space at its ends.

    Raises:
        ValueError: if the template changes the text otherwise, or writes it more than once.
    """
    around = render_text(tokenizer, STAND_IN, variables=variables).split(STAND_IN)
    rendered = render_text(tokenizer, text, variables=variables)
    for as_written in (text, text.strip()):
        if len(around) == 2 and rendered == as_written.join(around):
            return around, as_written
    raise ValueError(
        f"prompt {text[:60]!r}... spells a control token, and the chat template does not write it once as it is, so "
        "it cannot be told from the template's own; take the prompt out"
    )


def encode_texts(tokenizer: PreTrainedTokenizerBase, around: Sequence[str], texts: Sequence[str]) -> TokenIds:
    """Token ids of texts and of what stands around them, in which control tokens are those; in the texts they are text.

    The control tokens get other spellings, which no text has, in what stands around and in a copy of the tokenizer. So
    everything else about the tokenizer stays as it is.

    Args:
        around: before the first text, between each two, and after the last.

    Raises:
        ValueError: if the tokenizer cannot be copied so, or the ids would not be right.
    """
    control = control_tokens(tokenizer)
    aliases, copied = _aliases(control), _with_aliases(tokenizer, tuple(control.items()))
    spelled = next((text for text in texts if spells(text, control)), texts[0])
    refused = (
        f"text {spelled[:60]!r}... spells a control token, and this tokenizer cannot read it as text; take it out, or take "
        "another model or judge"
    )
    if copied is None or any(spells(text, list(aliases.values())) for text in texts):
        raise ValueError(refused)

    def encode(each: Sequence[str]) -> list[int]:
        outside = [_respelled(part, aliases) for part in around]
        return copied.encode(woven(outside, each), add_special_tokens=False).ids

    stand_ins = [STAND_IN] * len(texts)
    plain = tokenizer(woven(around, stand_ins), add_special_tokens=False)["input_ids"]
    try:
        of_stand_ins, ids = encode(stand_ins), encode(texts)
    except (
        Exception
    ) as error:  # tokenizers raises nothing more special, as for a sign that its vocabulary lacks
        raise ValueError(refused) from error
    numbers = _control_ids(tokenizer)
    wanted, got = ([token_id for token_id in row if token_id in numbers] for row in (plain, ids))
    if of_stand_ins != plain or wanted != got:
        raise ValueError(refused)
    return tuple(ids)


def woven(around: Sequence[str], texts: Sequence[str]) -> str:
    """Texts and what stands around them as one."""
    return around[0] + "".join(text + after for text, after in zip(texts, around[1:], strict=True))


def _aliases(control: Mapping[str, int]) -> dict[str, str]:
    return {token: ALIAS.format(number) for token, number in control.items()}


def _respelled(text: str, aliases: Mapping[str, str]) -> str:
    """A text with every control token in its other spelling, longer ones first."""
    tokens = sorted(aliases, key=len, reverse=True)
    return re.sub("|".join(map(re.escape, tokens)), lambda found: aliases[found[0]], text)


@lru_cache(maxsize=4)
def _with_aliases(
    tokenizer: PreTrainedTokenizerBase, control: tuple[tuple[str, int], ...]
) -> Tokenizer | None:
    """A copy of the tokenizer whose control tokens are spelled otherwise; None where there is no such copy."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if not isinstance(backend, Tokenizer):
        return None
    aliases, described = _aliases(dict(control)), json.loads(backend.to_str())
    for token in described["added_tokens"]:
        token["content"] = aliases.get(token["content"], token["content"])
    model = described["model"]
    if isinstance(model.get("vocab"), dict):
        model["vocab"] = {aliases.get(piece, piece): number for piece, number in model["vocab"].items()}
    if model.get("unk_token") in aliases:
        model["unk_token"] = aliases[model["unk_token"]]
    try:
        return Tokenizer.from_str(json.dumps(described))
    except (
        Exception
    ):  # tokenizers raises nothing more special, as where a control token is the product of a merge
        return None
