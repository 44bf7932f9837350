"""What the scripts of sparse vectors read in the same way: every method's vector, and the effects of its dimensions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from steering_study.circuits.rankings import MAIN_METRIC, pooled_scores
from steering_study.circuits.schemas import ATTRIBUTION
from steering_study.sparsity.sparsify import kept_at
from steering_study.store.artifacts import read_arrays, read_table

SHARED_BY = "gradient"  # the criterion by which dimensions are compared over methods (docs/sparsity.md)


@dataclass(frozen=True)
class SparseInputs:
    """Dense vectors and mean indirect effects of their dimensions, by method."""

    vectors: Mapping[str, Float[np.ndarray, "d_model"]]
    effects: Mapping[str, Float[np.ndarray, "d_model"]]

    @classmethod
    def read(
        cls, vectors: Mapping[str, Path], edge_scores: Mapping[str, Path], attribution: Mapping[str, Path]
    ) -> SparseInputs:
        """From vector files and both files of attribution, by method."""
        return cls(
            {
                name: read_arrays(path, names=["vector"])["vector"].astype(np.float64)
                for name, path in vectors.items()
            },
            {
                name: mean_effects(read_arrays(path), read_table(attribution[name], ATTRIBUTION))
                for name, path in edge_scores.items()
            },
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


def mean_effects(arrays: Mapping[str, np.ndarray], attribution: pd.DataFrame) -> Float[np.ndarray, "d_model"]:
    """Indirect effect of each dimension: mean over the patching samples of all sets, positions of the vector summed (docs/sparsity.md).

    A sample is a response position that is not masked, as for edges.

    Args:
        arrays: `<set>.<metric>.dimensions`, a response a row, as attributed.
        attribution: the table of that name, with n_positions of each response.
    """
    counts = {
        str(name): rows["n_positions"].to_numpy()
        for name, rows in attribution[attribution["metric"] == MAIN_METRIC].groupby("patching_set")
    }
    scores = {name: arrays[f"{name}.{MAIN_METRIC}.dimensions"] for name in counts}
    return pooled_scores(
        scores, counts, {name: np.ones(len(each), dtype=bool) for name, each in counts.items()}
    )
