"""The lines that load an exported vector, as a page shows them, run on the vector that a test names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

EXAMPLE = re.compile(r"results/export/vectors/[\w.-]+/dim(?=\.json)")


def lines_of(page: str) -> str:
    """The only Python block of a page."""
    (lines,) = re.findall(r"```python\n(.*?)```", page, re.S)
    return lines


def run_lines(lines: str, *, folder: Path, vector: str, direction: str) -> dict[str, Any]:
    """Names that the lines define, with the vector `model/method` of an exported folder in the place of their example."""
    assert len(EXAMPLE.findall(lines)) == 1
    assert lines.count('"induce"') == 1
    named = EXAMPLE.sub((folder / "vectors" / vector).as_posix(), lines).replace('"induce"', f'"{direction}"')
    names: dict[str, Any] = {}
    exec(named, names)
    return names


def answer(names: dict[str, Any], prompts: Sequence[str], *, max_new_tokens: int) -> list[list[int]]:
    """Token ids that the steered model of the lines answers prompts with, side by side."""
    tokenizer, model = names["tokenizer"], names["model"]
    tokenizer.padding_side = "left"
    chats = [[{"role": "user", "content": prompt}] for prompt in prompts]
    ways = {"add_generation_prompt": True, "return_dict": True, "return_tensors": "pt", "padding": True}
    chat = tokenizer.apply_chat_template(chats, **ways)
    tokens = model.generate(**chat, do_sample=False, max_new_tokens=max_new_tokens)
    return tokens[:, chat["input_ids"].shape[1] :].tolist()


def begins_with(tokens: Sequence[int], text: Sequence[int]) -> bool:
    """Whether generated tokens are a text's, up to what fills their row."""
    return list(tokens[: len(text)]) == list(text)
