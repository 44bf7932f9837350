"""Prompts made up for a test, and the splits drawn from them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from steering_study.prompts.sources import Prompt
from steering_study.prompts.splits import sample_splits

ROOT = Path(__file__).parents[2]
MANIFEST = ROOT / "resources/prompts/public.yaml"


def make(n: int, *, source: str, label: str, split: str = "pool", word: str = "") -> list[Prompt]:
    return [
        Prompt(f"{source}-{i:04d}", split, label, source, "refusal", f"{word or source} prompt {i}")
        for i in range(n)
    ]


def sample(prompts, *, seed=0, train=0, validation=0, augmentation=0, **test_sizes):
    sizes = {"train": train, "validation": validation, "augmentation": augmentation}
    return sample_splits(prompts, np.random.default_rng(seed), sizes=sizes, test_sizes=test_sizes)


POOLS = [
    *make(30, source="bad", label="harmful"),
    *make(10, source="worse", label="harmful"),
    *make(60, source="good", label="harmless"),
    *make(20, source="exam", label="harmful", split="test_pool"),
]
