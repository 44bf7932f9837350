"""What a freeze or an ablation is called, and which heads and MLPs it touches: no tensors here (docs/attention.md).

    none            steering alone
    q, k, qk        queries, keys or both (the attention weights) are those of the base run on the same tokens
    ov              value vectors are those of the base run on the same tokens
    svv             the vector's direct term is taken out of what W_V reads
    mlp             the vector's direct term is taken out of what the MLP reads, behind its norm
    mlp_pre_norm    the same before its norm

Parts are joined by +, as in qk+mlp. Without more, every block from the steering layer on is meant; `ov@a5` means the
heads of block 5, `ov@a5.h1,a6.h3` two heads, `mlp@m6` an MLP.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from steering_study.store.names import nearest

ATTENTION_PARTS = {"q": "q", "k": "k", "qk": "qk", "ov": "v", "svv": "s"}  # letters of what each part touches
MLP_PARTS = ("mlp", "mlp_pre_norm")
PARTS = (*ATTENTION_PARTS, *MLP_PARTS)
SCOPES = ("all", "prompt", "response")  # positions at which the vector is added
_NODE = re.compile(r"(?P<kind>[am])(?P<layer>\d+)(\.h(?P<head>\d+))?")


@dataclass(frozen=True)
class Ablation:
    """What is held at the base run or cleared of the vector, and where.

    Attributes:
        nodes: a5, a5.h1, m6; empty: every block from the steering layer on.
    """

    name: str
    holds_queries: bool
    holds_keys: bool
    holds_values: bool
    clears_values: bool
    clears_mlp: bool
    clears_mlp_pre_norm: bool
    nodes: tuple[str, ...]

    @property
    def needs_base(self) -> bool:
        """Whether anything is held at the base run."""
        return self.holds_queries or self.holds_keys or self.holds_values

    @property
    def touches_attention(self) -> bool:
        """Whether queries, keys or values change."""
        return self.needs_base or self.clears_values

    @property
    def touches_mlp(self) -> bool:
        """Whether MLPs change."""
        return self.clears_mlp or self.clears_mlp_pre_norm


def parse_ablation(name: str) -> Ablation:
    """An ablation by its name.

    Raises:
        ValueError: if a part or node is unknown, parts contradict each other, or a node is of no part's kind.
    """
    parts_text, _, nodes_text = name.partition("@")
    parts = [] if parts_text == "none" else parts_text.split("+")
    for part in parts:
        if part not in PARTS:
            raise ValueError(f"ablation {name!r}: {part!r} is unknown{nearest(part, ('none', *PARTS))}")
    for first, second in (("ov", "svv"), MLP_PARTS):
        if first in parts and second in parts:
            raise ValueError(
                f"ablation {name!r}: {first} and {second} change the same input; take one of them"
            )
    letters = "".join(ATTENTION_PARTS.get(part, "") for part in parts)
    ablation = Ablation(
        name,
        "q" in letters,
        "k" in letters,
        "v" in letters,
        "s" in letters,
        "mlp" in parts,
        "mlp_pre_norm" in parts,
        tuple(nodes_text.split(",")) if "@" in name else (),
    )
    _check_nodes(ablation)
    return ablation


def heads_of(
    ablation: Ablation, *, layer: int, n_layers: int, n_heads: int
) -> Bool[np.ndarray, "block head"]:
    """Which heads of the blocks from the steering layer on are touched.

    Raises:
        ValueError: if a node lies outside the model or below the steering layer.
    """
    mask = np.zeros((n_layers - layer, n_heads), dtype=bool)
    if ablation.touches_attention and not ablation.nodes:
        mask[:] = True
    for block, head in _places(ablation, "a", layer=layer, n_layers=n_layers, n_heads=n_heads):
        mask[block, slice(None) if head is None else head] = True
    return mask


def mlps_of(ablation: Ablation, *, layer: int, n_layers: int) -> Bool[np.ndarray, "block"]:
    """Which MLPs of the blocks from the steering layer on are touched.

    Raises:
        ValueError: if a node lies outside the model or below the steering layer.
    """
    mask = np.zeros(n_layers - layer, dtype=bool)
    if ablation.touches_mlp and not ablation.nodes:
        mask[:] = True
    for block, _ in _places(ablation, "m", layer=layer, n_layers=n_layers, n_heads=0):
        mask[block] = True
    return mask


def _places(
    ablation: Ablation, kind: str, *, layer: int, n_layers: int, n_heads: int
) -> list[tuple[int, int | None]]:
    """Block, counted from the steering layer, and head of each node of a kind."""
    places = []
    for node in ablation.nodes:
        found = _NODE.fullmatch(node)
        assert found is not None  # parse_ablation has checked it
        if found["kind"] != kind:
            continue
        at, head = int(found["layer"]), found["head"]
        if not layer <= at < n_layers:
            raise ValueError(
                f"ablation {ablation.name!r}: {node} is no block from the steering layer on; expected {layer}..{n_layers - 1}"
            )
        if head is not None and int(head) >= n_heads:
            raise ValueError(
                f"ablation {ablation.name!r}: the model has no head {node}; its heads are 0..{n_heads - 1}"
            )
        places.append((at - layer, None if head is None else int(head)))
    return places


def _check_nodes(ablation: Ablation) -> None:
    kinds = {"a": ablation.touches_attention, "m": ablation.touches_mlp}
    for node in ablation.nodes:
        found = _NODE.fullmatch(node)
        if found is None or (found["kind"] == "m" and found["head"]):
            raise ValueError(f"ablation {ablation.name!r}: {node!r} is no node; expected a5, a5.h1 or m5")
        if not kinds[found["kind"]]:
            raise ValueError(f"ablation {ablation.name!r}: no part of it touches {node}")
    for kind, touched in kinds.items():
        if ablation.nodes and touched and not any(node.startswith(kind) for node in ablation.nodes):
            raise ValueError(
                f"ablation {ablation.name!r}: a part of it has no node; expected one like {kind}5"
            )
