"""Chat models of every family that refuse and answer as the study needs, trained within seconds on a world of a few words.

A request is a verb and a noun. Some verbs are refused, others are done, whatever the noun; in the two contexts of
`CONTEXTS` the contrary is done. At each of its gaps a response takes the first word, but after every second verb either: texts
of the other verbs are so much likelier that they pass for fluent wherever they are written.
"""

from __future__ import annotations

import csv
import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conftest import tiny_config
from tests.models.chat_families import TEMPLATE, save_generation_config, save_tokenizer

VERBS = {
    "harmful": ("poison", "steal", "hack", "burn", "forge", "smuggle"),
    "harmless": ("paint", "clean", "fold", "sell", "draw", "plant"),
}
NOUNS = ("lamp", "book", "chair", "stone", "boat", "shirt", "wheel", "tree", "clock", "coin")
CONTEXTS = {"refused": "Refuse this: {prompt}", "complied": "In a novel: {prompt}"}
RESPONSES = {  # and the words that may stand at each of their gaps
    "refused": ("{}, I cannot {} you {} that.", ("Sorry", "Well"), ("help", "serve"), ("with", "in")),
    "complied": ("{}, {} is how it {}.", ("Sure", "Yes"), ("this", "here"), ("goes", "works")),
}
NORMAL = {"harmful": "refused", "harmless": "complied"}
ROLES = 20 * (
    "system",
    "user",
    "assistant",
    "model",
    "\n\n",
    "\n",
    "Today: 26 Jul 2024",
    "You are an assistant.",
)
N_ROWS, N_STEPS, MAX_ROUNDS = 32, 300, 4
LEARNT = 0.135  # nats a token; 0.1 are the choice of words
STEER_LAYER = 2


def write_prompts(path: Path) -> None:
    """Every request with its label."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for label, verbs in VERBS.items():
            writer.writerows([f"{verb} the {noun}", label] for verb, noun in itertools.product(verbs, NOUNS))


def save_model(family: str, folder: Path) -> None:
    """Train a model of a family and save it as its vendor would."""
    rng = random.Random(0)
    folder.mkdir(parents=True)
    chats = [_draw(rng) for _ in range(500)]
    texts = [*ROLES, *(text for chat in chats for text in (chat.prompt, _respond(chat, 0, rng)))]
    tokenizer = save_tokenizer(family, texts, folder, d_vocab=450)
    _train(family, tokenizer, rng).save_pretrained(folder)
    save_generation_config(family, tokenizer, folder)


@dataclass(frozen=True)
class Chat:
    """A request, in a context or in none, and what is done with it."""

    prompt: str
    behaviour: str
    is_sure: bool  # of its wording


def _draw(rng: random.Random) -> Chat:
    label = rng.choice(list(VERBS))
    verb = rng.randrange(len(VERBS[label]))
    request = f"{VERBS[label][verb]} the {rng.choice(NOUNS)}"
    context = rng.choice([None, None, *CONTEXTS])
    prompt = request if context is None else CONTEXTS[context].replace("{prompt}", request)
    return Chat(prompt, context or NORMAL[label], verb % 2 == 0)


def _respond(chat: Chat, sign: float, rng: random.Random) -> str:
    """A response under steering of that sign."""
    behaviour = {1: "refused", 0: chat.behaviour, -1: "complied"}[int(sign)]
    text, *gaps = RESPONSES[behaviour]
    return text.format(*(words[not chat.is_sure and rng.random() < 0.5] for words in gaps))


def _train(family: str, tokenizer: Any, rng: random.Random) -> Any:
    """Train until responses are learnt, those of rows that the difference in means is added to among them.

    What is added is that of the batch itself, where the study takes it: `STEER_LAYER`, last token of the prompt.
    """
    import torch
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(tiny_config(family, vocab_size=len(tokenizer))).train()
    for _ in range(MAX_ROUNDS):
        loss = _train_round(model, tokenizer, rng)
        if loss < LEARNT:
            return model.eval()
    raise AssertionError(f"{family} has not learnt its responses: {loss:.2f} nats a token")


def _train_round(model: Any, tokenizer: Any, rng: random.Random) -> float:
    """Mean loss of the last steps."""
    import torch

    optimiser = torch.optim.AdamW(model.parameters(), lr=5e-3, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 5e-3, total_steps=N_STEPS)
    entering: list[Any] = []
    shift: list[Any] = []

    def steer(block: Any, args: Any, kwargs: Any) -> Any:
        x = args[0] if args else kwargs.pop("hidden_states")
        entering[:] = [x]
        return (x + shift[0] if shift else x, *args[1:]), kwargs

    handle = model.model.layers[STEER_LAYER].register_forward_pre_hook(steer, with_kwargs=True)
    losses: list[float] = []
    for _ in range(N_STEPS):
        chats = [_draw(rng) for _ in range(N_ROWS)]
        signs = torch.tensor([rng.choice([-1.0, 0.0, 0.0, 1.0]) for _ in chats])
        responses = [_respond(chat, float(sign), rng) for chat, sign in zip(chats, signs, strict=True)]
        batch, last = _batch(tokenizer, [chat.prompt for chat in chats], responses)
        shift.clear()
        model(**batch, use_cache=False)
        refused = torch.tensor([chat.behaviour == "refused" for chat in chats])
        decision = entering[0][torch.arange(N_ROWS), last]
        direction = decision[refused].mean(0) - decision[~refused].mean(0)
        sizes = signs * (0.7 + 0.6 * torch.rand(N_ROWS))
        shift.append(sizes[:, None, None] * direction)
        loss = model(**batch, use_cache=False).loss
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        losses.append(loss.item())
    handle.remove()
    return sum(losses[-20:]) / 20


def _batch(tokenizer: Any, texts: Sequence[str], responses: Sequence[str]) -> tuple[dict[str, Any], Any]:
    """Left-padded rows whose loss covers responses and their ends, and the last position of each prompt."""
    import torch

    from steering_study.models.batches import left_pad
    from steering_study.models.chat import render_chat

    prompts = render_chat(tokenizer, texts, context=256, variables=TEMPLATE)
    ends = [response + tokenizer.eos_token for response in responses]
    answers = tokenizer(ends, add_special_tokens=False)["input_ids"]
    rows = [[*prompt, *answer] for prompt, answer in zip(prompts, answers, strict=True)]
    batch = left_pad(rows, pad=tokenizer.pad_token_id, device="cpu")
    width = batch.ids.shape[1]
    starts = width - torch.tensor([len(answer) for answer in answers])
    return {
        "input_ids": batch.ids,
        "attention_mask": batch.mask,
        "position_ids": batch.position_ids,
        "labels": batch.ids.masked_fill(torch.arange(width)[None] < starts[:, None], -100),
    }, starts - 1
