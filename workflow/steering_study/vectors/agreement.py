"""Agreement of two vectors."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float


def cosine(a: Float[np.ndarray, "d_model"], b: Float[np.ndarray, "d_model_b"]) -> float:
    """Cosine similarity, in float64.

    Raises:
        ValueError: if the widths differ or a vector is zero.
    """
    if a.shape != b.shape:
        raise ValueError(f"vectors of widths {a.shape[0]} and {b.shape[0]} belong to different models")
    x, y = a.astype(np.float64), b.astype(np.float64)
    norms = np.linalg.norm(x) * np.linalg.norm(y)
    if norms == 0:
        raise ValueError("the cosine of a zero vector is undefined")
    return float(x @ y / norms)
