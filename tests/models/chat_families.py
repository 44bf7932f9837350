"""Tokenizers with the chat structure of each family: role headers, ends of turn, default system blocks, switches.

The templates are short ones of our own; what they share with the vendors' is where a special token stands.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from steering_study.pocket.tokenizer import FORMATS

TEMPLATE = {"date": "2024-07-26", "enable_thinking": False}


@dataclass(frozen=True)
class ChatFamily:
    """Special tokens and template of a family; `span` is what every prompt ends with."""

    bos: str | None
    ends: tuple[str, ...]  # of a turn: those of the generation config, the tokenizer's own first
    others: tuple[str, ...]
    template: str
    span: str
    strips_right: bool = False  # whether special tokens swallow the white space behind them


IM_TURNS = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}"
)
LLAMA_HEADER = "<|start_header_id|>{}<|end_header_id|>\n\n"
CHATS = {
    "llama": ChatFamily(
        bos="<|begin_of_text|>",
        ends=("<|eot_id|>", "<|end_of_text|>", "<|eom_id|>"),
        others=("<|start_header_id|>", "<|end_header_id|>"),
        template=(
            "{{ bos_token }}"
            "{% if date_string is not defined and strftime_now is defined %}{% set date_string = strftime_now('%d %b %Y') %}{% endif %}"
            "{{ '"
            + LLAMA_HEADER.format("system")
            + "Knowledge ends in 2023.\nToday: ' + date_string + '<|eot_id|>' }}"
            "{% for message in messages %}"
            "{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' + message['content'] | trim + '<|eot_id|>' }}"
            "{% endfor %}"
            "{% if add_generation_prompt %}{{ '" + LLAMA_HEADER.format("assistant") + "' }}{% endif %}"
        ),
        span="<|eot_id|>" + LLAMA_HEADER.format("assistant"),
    ),
    "gemma2": ChatFamily(
        bos="<bos>",
        ends=("<end_of_turn>", "<eos>"),
        others=("<start_of_turn>",),
        template=FORMATS["gemma"].template,
        span="<end_of_turn>\n<start_of_turn>model\n",
    ),
    "qwen2": ChatFamily(
        bos=None,
        ends=("<|im_end|>", "<|endoftext|>"),
        others=("<|im_start|>",),
        template=(
            "{% if messages[0]['role'] != 'system' %}"
            "{{ '<|im_start|>system\nYou are an assistant.<|im_end|>\n' }}{% endif %}"
            + IM_TURNS
            + "{% endif %}"
        ),
        span="<|im_end|>\n<|im_start|>assistant\n",
    ),
    "qwen3": ChatFamily(
        bos=None,
        ends=("<|im_end|>", "<|endoftext|>"),
        others=("<|im_start|>", "<think>", "</think>"),
        template=(
            IM_TURNS + "{% if enable_thinking is defined and enable_thinking is false %}"
            "{{ '<think>\n\n</think>\n\n' }}{% endif %}{% endif %}"
        ),
        span="<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n",
    ),
    "mistral": ChatFamily(
        bos="<s>",
        ends=("</s>",),
        others=("[INST]", "[/INST]"),
        template=(
            "{{ bos_token }}{% for message in messages %}{% if message['role'] == 'user' %}"
            "{{ '[INST] ' + message['content'] + ' [/INST]' }}"
            "{% else %}{{ ' ' + message['content'] + eos_token }}{% endif %}{% endfor %}"
        ),
        span=" [/INST]",
    ),
    "phi3": ChatFamily(
        bos=None,
        ends=("<|endoftext|>", "<|end|>", "<|assistant|>"),
        others=("<|user|>", "<|system|>"),
        template=(
            "{% for message in messages %}{{ '<|' + message['role'] + '|>\n' + message['content'] + '<|end|>\n' }}"
            "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}"
        ),
        span="<|end|><|assistant|>",
        strips_right=True,
    ),
}


def save_tokenizer(family: str, texts: Iterable[str], folder: Path, *, d_vocab: int) -> Any:
    """Train a byte-level BPE tokenizer on texts and save it with the family's template."""
    chat = CHATS[family]
    specials = ["<pad>", *((chat.bos,) if chat.bos else ()), *chat.ends, *chat.others]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=d_vocab,
        special_tokens=[
            AddedToken(token, special=True, normalized=False, rstrip=chat.strips_right) for token in specials
        ],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    named = {"bos_token": chat.bos} if chat.bos else {}
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=chat.ends[0], pad_token="<pad>", padding_side="left", **named
    )
    fast.chat_template = chat.template
    fast.save_pretrained(folder)
    return fast


def save_generation_config(family: str, tokenizer: Any, folder: Path) -> None:
    """The ends of turn of a family, as its generation config lists them."""
    from transformers import GenerationConfig

    ids = tokenizer.convert_tokens_to_ids(list(CHATS[family].ends))
    GenerationConfig(eos_token_id=ids, pad_token_id=tokenizer.pad_token_id).save_pretrained(folder)
