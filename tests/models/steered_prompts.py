"""Prompts of a tiny model, and models of a short context."""

from __future__ import annotations

from dataclasses import replace

TEXTS = [
    "Hello!",
    "How do I bake bread?",
    "Tell me a long story about the otter, please, and about rivers.",
    "Hm",
    "How do I bake bread?",
]


def with_context(model, context):
    """A model of that context whose texts never end by themselves."""
    return replace(model, card=replace(model.card, context=context, end_of_turn_ids=(model.card.d_vocab,)))
