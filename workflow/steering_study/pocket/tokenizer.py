"""Byte-level BPE tokenizers of the bundled models, with the chat templates of their families."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from steering_study.pocket.corpus import Example

Family = Literal["llama", "gemma"]


@dataclass(frozen=True)
class ChatFormat:
    """Special tokens and template of a family; the structure is that of Llama 3 and of Gemma 2."""

    bos: str
    end_of_turn: str
    pad: str
    others: tuple[str, ...]
    template: str


FORMATS: dict[Family, ChatFormat] = {
    "llama": ChatFormat(
        bos="<|begin_of_text|>",
        end_of_turn="<|eot_id|>",
        pad="<|finetune_right_pad_id|>",
        others=("<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>"),
        template=(
            "{{ bos_token }}{% for message in messages %}"
            "{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' + message['content'] | trim + '<|eot_id|>' }}"
            "{% endfor %}"
            "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
        ),
    ),
    "gemma": ChatFormat(
        bos="<bos>",
        end_of_turn="<end_of_turn>",
        pad="<pad>",
        others=("<eos>", "<start_of_turn>"),
        template=(
            "{{ bos_token }}{% for message in messages %}"
            "{% if message['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
            "{% set role = 'model' if message['role'] == 'assistant' else message['role'] %}"
            "{{ '<start_of_turn>' + role + '\n' + message['content'] | trim + '<end_of_turn>\n' }}"
            "{% endfor %}"
            "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
        ),
    ),
}


def train_tokenizer(family: Family, examples: Iterable[Example], *, d_vocab: int) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE on prompts and responses and give it the family's chat template."""
    chat = FORMATS[family]
    specials = [chat.pad, chat.bos, chat.end_of_turn, *chat.others]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=d_vocab,
        special_tokens=specials,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_texts(examples), trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=chat.bos,
        eos_token=chat.end_of_turn,
        pad_token=chat.pad,
        additional_special_tokens=list(chat.others),
        model_input_names=["input_ids", "attention_mask"],
        padding_side="left",
    )
    fast.chat_template = chat.template
    return fast


def _texts(examples: Iterable[Example]) -> Iterator[str]:
    """Prompts and responses; the role words and line breaks of the templates become tokens of their own."""
    rng = random.Random(0)
    for example in examples:
        yield rng.choice(["user", "assistant", "model", "\n\n", "\n"])
        yield example.prompt
        yield f"{example.false_start} {example.response}".strip()
