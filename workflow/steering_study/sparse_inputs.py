"""What the scripts of sparse vectors read in the same way: every method's vector, and the effects of its dimensions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from steering_study.artifacts import read_arrays
from steering_study.circuit_sets import MAIN_METRIC
from steering_study.sparsify import kept_at

SHARED_BY = "gradient"  # the criterion by which dimensions are compared over methods (METHOD 6)


@dataclass(frozen=True)
class SparseInputs:
    """Dense vectors and mean indirect effects of their dimensions, by method."""

    vectors: Mapping[str, Float[np.ndarray, "d_model"]]
    effects: Mapping[str, Float[np.ndarray, "d_model"]]

    @classmethod
    def read(cls, vectors: Mapping[str, Path], edge_scores: Mapping[str, Path]) -> SparseInputs:
        """From vector files and the files of attribution."""
        return cls(
            {name: read_arrays(path)["vector"].astype(np.float64) for name, path in vectors.items()},
            {name: mean_effects(read_arrays(path)) for name, path in edge_scores.items()},
        )

    def masks(self, percents: Sequence[float]) -> dict[float, dict[str, Bool[np.ndarray, "d_model"]]]:
        """What each method keeps, by target percent."""
        return {
            percent: {
                name: kept_at(SHARED_BY, self.vectors[name], self.effects[name], percent)
                for name in self.vectors
            }
            for percent in percents
        }


def mean_effects(arrays: Mapping[str, np.ndarray]) -> Float[np.ndarray, "d_model"]:
    """Indirect effect of each dimension: mean over the responses of all patching sets, positions summed (METHOD 6).

    Args:
        arrays: `<set>.<metric>.dimensions`, a response a row, as attributed.
    """
    scores = [array for name, array in arrays.items() if name.endswith(f".{MAIN_METRIC}.dimensions")]
    return np.concatenate(scores).astype(np.float64).mean(0)
