"""Cards of exported vectors and circuits: what they are, of which model, and how they are used."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from steering_study.circuits.graph import Graph
from steering_study.circuits.rankings import own_ranking, read_rankings
from steering_study.circuits.tables import top_edges

LAYER_CONVENTION = (
    "added to the residual stream before block `layer`, counted from 0, i.e. to the input of "
    "model.model.layers[layer]"
)
POSITIONS = (
    "every token of prompt and response, template and BOS included, at every decoding step; not padding"
)
COEFFICIENTS = (
    "residual + coefficient * vector; induce makes the model refuse, bypass makes it answer. The file holds the "
    "vector itself, not multiplied by either"
)
HOW = {
    "dim": "difference of the class means of the residual stream, harmful less harmless training prompts",
    "ntp": "learned: makes the desired responses most likely under steering",
    "po": "learned: prefers the desired responses to the undesired ones under steering",
    "random": "control: a random direction of the norm of dim",
    "shuffled": "control: difference of means of shuffled labels, at the norm of dim",
}


def portable(value: Any) -> Any:
    """A value without the folders of this machine: of an absolute path only its last part is left."""
    if isinstance(value, Mapping):
        return {portable(key): portable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [portable(item) for item in value]
    if isinstance(value, str) and Path(value).is_absolute():
        return Path(value).name
    return value


def describe_source(model: Mapping[str, Any]) -> dict[str, Any]:
    """Where a model comes from, in words that `from_pretrained` takes.

    A folder is known by the sha256 of its files, which is no revision of a hub.
    """
    is_folder = len(model["revision"]) == 64  # a hub commit has 40 digits
    return {
        "model": model["name"],
        "source": model["gguf"]["file"] if model.get("gguf") else portable(model["source"]),
        "gguf_sha256": model["gguf"]["sha256"] if model.get("gguf") else None,
        "revision": None if is_folder else model["revision"],
        "files_sha256": model["revision"] if is_folder else None,
        "architecture": model["architecture"],
        "dtype": model["dtype"],
        "n_layers": model["n_layers"],
        "d_model": model["d_model"],
    }


def vector_card(
    model: Mapping[str, Any],
    made: Mapping[str, Any],
    vector: Float[np.ndarray, "d_model"],
    *,
    coefficients: Mapping[str, float],
    asr: pd.DataFrame,
    concept: str,
    seed: int,
    max_new_tokens: int,
) -> dict[str, Any]:
    """All that a reader needs to steer with a vector and to reproduce its rates.

    Args:
        model: model.json.
        made: vector.json of the method.
        asr: the model's `asr` table.
        seed: of the study, for a vector that was drawn or trained with no seed of its own.

    Raises:
        ValueError: if the vector was made for other weights or has another width than the model.
    """
    if made["revision"] != model["revision"]:
        raise ValueError(
            f"vector {made['method']!r} was made for revision {made['revision'][:12]} of {model['name']}, "
            f"model.json has {model['revision'][:12]}; run the study again"
        )
    if vector.shape != (model["d_model"],):
        raise ValueError(
            f"vector {made['method']!r} has shape {vector.shape}, expected ({model['d_model']},), "
            f"the width of {model['name']}"
        )
    method, trial = made["method"], made.get("trial")
    rows = asr[asr["method"] == method].drop(columns=["model", "method", "coefficient"])
    return {
        **describe_source(model),
        "concept": concept,
        "method": method,
        "made_by": HOW.get(method, f"learned: workflow/steering_study/vectors/{method}.py"),
        "note": made.get("note", ""),
        "trial": trial,
        "seed": trial["seed"] if trial else made.get("seed", seed),
        "read_at_position": None if method == "random" else made.get("position"),  # none: from no position
        "layer": made["layer"],
        "layer_convention": LAYER_CONVENTION,
        "added_at": POSITIONS,
        "coefficients": dict(coefficients),
        "coefficient_convention": COEFFICIENTS,
        "norm": float(np.linalg.norm(vector.astype(np.float64))),
        "tensor": {"name": "vector", "shape": list(vector.shape), "dtype": str(vector.dtype)},
        "template": model["template"],
        "template_sha256": model["template_sha256"],
        "post_instruction_tokens": model["post_instruction_tokens"],
        "post_instruction_ids": model["post_instruction_ids"],
        "end_of_turn_ids": model["end_of_turn_ids"],
        "decoding": {
            "prompt": "one user turn, chat template",
            "greedy": True,
            "max_new_tokens": max_new_tokens,
        },
        "attack_success": json.loads(rows.to_json(orient="records")),
    }


def minimum_circuit(
    graph: Graph, rankings: pd.DataFrame, faithfulness: pd.DataFrame, *, method: str
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """A method's minimum-faithful circuit: its edges as a `top_edges` table, and what is known of it.

    Args:
        rankings: the method's `rankings` table.
        faithfulness: the model's `faithfulness` table.
    """
    rows = faithfulness[(faithfulness["vector_method"] == method) & faithfulness["minimum"]]
    size = int(rows["nominal_edges"].iloc[0])
    own = own_ranking(read_rankings(rankings))
    edges = top_edges(graph, own, method=method, size=size, n=size)
    shown = ["dataset", "n", "faithfulness", "low", "high", "mean_of_ratios"]
    card = {
        "method": method,
        "layer": graph.layer,
        "metric": own.metric,
        "ranked_by": "|score|, pooled over the four patching sets",
        "nominal_edges": size,
        "n_edges": len(edges),
        "n_edges_of_graph": graph.n_edges,
        "share_of_edges": len(edges) / graph.n_edges,
        "faithfulness": json.loads(rows[shown].to_json(orient="records")),
        "names": (
            "a12.h3: head 3 of block 12; m12: its MLP; resid_steer: the steered residual stream; as readers "
            "a12.h3<q>, and <k>, <v> of key-value heads; lm_head. All count from 0"
        ),
    }
    return edges, card
