"""What the config says of steering vectors: methods, the choice of DIM, the search of learned ones."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from steering_study.store.names import nearest

METHODS = Path(__file__).parent / "methods"  # the loss of each learned method, a file each
CONTROLS = ("random", "shuffled")  # vectors of DIM's norm that should do nothing
MADE_WITHOUT_TRAINING = ("dim", *CONTROLS)  # methods; all others are learned


@dataclass(frozen=True)
class Dim:
    """Selection of the DIM candidate and of its coefficients."""

    selection: Literal["paper", "arditi", "flips"]
    flips: Mapping[str, int]  # candidates whose texts are tried, and prompts of each label
    scores: Literal["needed", "all"]  # of candidates: those that the choice can depend on, or every one
    min_induce: float
    max_kl: float
    max_depth: float
    refusal_coverage: float
    coefficients: Mapping[str, Sequence[float]]
    max_degenerate: float
    matched_flip_rate: float


@dataclass(frozen=True)
class Search:
    """Search of the learned vectors; `learned` holds what is a method's own."""

    max_tokens: int
    epochs: int
    batch_sizes: Sequence[int]
    learning_rates: Sequence[float]
    seeds: Sequence[int]
    max_gradient_norm: float | None
    trials_per_job: int
    learned: Mapping[str, Mapping[str, Any]]

    def trials(self, method: str) -> list[dict[str, Any]]:
        """Every point of a method's search, numbered; neighbours share a batch size."""
        own = self.learned[method]
        rates = own.get("learning_rates") or self.learning_rates
        grid = itertools.product(self.batch_sizes, rates, own.get("phi", [None]), self.seeds)
        return [
            {
                "trial": number,
                "learning_rate": learning_rate,
                "batch_size": batch_size,
                "epochs": self.epochs,
                "seed": seed,
                "max_gradient_norm": self.max_gradient_norm,
                "factors": tuple(own["factors"]),
                "phi": phi,
                "length": own.get("length"),
            }
            for number, (batch_size, learning_rate, phi, seed) in enumerate(grid)
        ]

    def shards(self, method: str) -> list[list[dict[str, Any]]]:
        """The trials as jobs, each of one batch size and at most `trials_per_job` trials."""
        jobs = []
        for _, same_size in itertools.groupby(self.trials(method), key=lambda trial: trial["batch_size"]):
            trials = list(same_size)
            jobs += [trials[i : i + self.trials_per_job] for i in range(0, len(trials), self.trials_per_job)]
        return jobs


def check_methods(vectors: Mapping[str, Any]) -> None:
    """Refuse a method that nothing makes."""
    known = [*MADE_WITHOUT_TRAINING, *vectors["learned"]]
    for method in vectors["methods"]:
        if method not in known:
            raise ValueError(
                f"config: vectors.methods names {method!r}, which is no method{nearest(method, known)}; "
                "a learned method of your own needs an entry in vectors.learned (docs/vectors.md)"
            )
    for method in vectors["learned"]:
        if not (METHODS / f"{method}.py").exists():
            raise ValueError(
                f"config: vectors.learned.{method} has no file vectors/methods/{method}.py; write one (docs/vectors.md)"
            )


def methods_of(config: Mapping[str, Any], section: str) -> list[str]:
    """Methods that a part of the study takes; controls steer nothing and are left out.

    Raises:
        ValueError: if it names another one.
    """
    methods = [name for name in config["vectors"]["methods"] if name not in CONTROLS]
    wanted = config[section]["methods"]
    for name in wanted or []:
        if name not in methods:
            raise ValueError(
                f"config: {section}.methods names {name!r}, which is not in vectors.methods or is a control"
                f"{nearest(name, methods)}"
            )
    return list(wanted or methods)
