"""The graph of docs/circuits.md: what writes to the residual stream from the steering layer on, and what reads it.

    sources        resid_steer; then, block by block, its query heads and its MLP
    destinations   block by block: its query heads, its key heads, its value heads, its MLP; then the LM head

An edge runs from every source to every destination that is computed after it. Keys and values are counted per
key-value head. A head feeds the MLP of its own block. Edges are never objects: an edge is a pair of indices, and a set
of edges a boolean matrix [src, dst].
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

SOURCE_KINDS = ("resid_steer", "attn_head", "mlp")
DESTINATION_KINDS = ("attn_q", "attn_k", "attn_v", "mlp", "lm_head")
_LETTER = {"attn_q": "q", "attn_k": "k", "attn_v": "v"}


@dataclass(frozen=True)
class Graph:
    """Sources, destinations and edges of a model steered at `resid_pre` of block `layer`."""

    n_layers: int
    layer: int
    n_heads: int
    n_kv_heads: int

    def __post_init__(self) -> None:
        if not 0 <= self.layer < self.n_layers:
            raise ValueError(f"layer={self.layer} is outside 0..{self.n_layers - 1}")
        if self.n_heads % self.n_kv_heads:
            raise ValueError(f"n_heads={self.n_heads} is no multiple of n_kv_heads={self.n_kv_heads}")

    @classmethod
    def of(cls, card: Mapping[str, Any], *, layer: int) -> Graph:
        """The graph of the model of a card, steered at a layer."""
        return cls(card["n_layers"], layer, card["n_heads"], card["n_kv_heads"])

    @property
    def n_blocks(self) -> int:
        """Blocks from the steering layer on."""
        return self.n_layers - self.layer

    @property
    def n_src(self) -> int:
        """Sources: 1 + n_blocks (n_heads + 1)."""
        return 1 + self.n_blocks * (self.n_heads + 1)

    @property
    def n_dst(self) -> int:
        """Destinations: n_blocks (n_heads + 2 n_kv_heads + 1) + 1."""
        return self.n_blocks * self._dst_per_block + 1

    @property
    def n_edges(self) -> int:
        """Edges of the whole graph."""
        return int(self.edge_mask.sum())

    @property
    def _dst_per_block(self) -> int:
        return self.n_heads + 2 * self.n_kv_heads + 1

    def n_src_before(self, block: int) -> int:
        """Sources that the attention of a block can read; blocks are counted from the steering layer."""
        return 1 + block * (self.n_heads + 1)

    def heads_src(self, block: int) -> slice:
        """The query heads of a block among the sources."""
        start = self.n_src_before(block)
        return slice(start, start + self.n_heads)

    def mlp_src(self, block: int) -> int:
        """The MLP of a block among the sources."""
        return self.n_src_before(block + 1) - 1

    def dst(self, block: int, kind: str) -> slice:
        """The destinations of a kind in a block."""
        sizes = {
            "attn_q": self.n_heads,
            "attn_k": self.n_kv_heads,
            "attn_v": self.n_kv_heads,
            "mlp": 1,
        }
        start = block * self._dst_per_block
        for name, size in sizes.items():
            if name == kind:
                return slice(start, start + size)
            start += size
        raise ValueError(f"kind={kind!r} is none of {', '.join(sizes)}")

    @property
    def lm_head(self) -> int:
        """The LM head among the destinations: the last."""
        return self.n_dst - 1

    @cached_property
    def edge_mask(self) -> Bool[np.ndarray, "src dst"]:
        """Which pairs are edges."""
        src, dst = np.arange(self.n_src)[:, None], np.arange(self.n_dst)[None]
        block = dst // self._dst_per_block
        is_mlp = dst % self._dst_per_block == self._dst_per_block - 1
        readable = 1 + block * (self.n_heads + 1) + np.where(is_mlp, self.n_heads, 0)
        return src < np.where(dst == self.lm_head, self.n_src, readable)

    @cached_property
    def edges(self) -> tuple[Int[np.ndarray, "edge"], Int[np.ndarray, "edge"]]:
        """Source and destination of every edge, in the order in which edges are numbered."""
        src, dst = np.nonzero(self.edge_mask)
        return src, dst

    @cached_property
    def reads(self) -> Bool[np.ndarray, "src dst"]:
        """Which destinations each source is computed from: a head from its query input and its group's keys and values."""
        reads = np.zeros((self.n_src, self.n_dst), dtype=bool)
        group = self.n_heads // self.n_kv_heads
        of_group = np.eye(self.n_kv_heads, dtype=bool).repeat(group, axis=0)
        for block in range(self.n_blocks):
            heads = self.heads_src(block)
            reads[heads, self.dst(block, "attn_q")] = np.eye(self.n_heads, dtype=bool)
            reads[heads, self.dst(block, "attn_k")] = of_group
            reads[heads, self.dst(block, "attn_v")] = of_group
            reads[self.mlp_src(block), self.dst(block, "mlp")] = True
        return reads

    @cached_property
    def src_kinds(self) -> np.ndarray:
        """Kind of each source."""
        block = ["attn_head"] * self.n_heads + ["mlp"]
        return np.array(["resid_steer", *block * self.n_blocks])

    @cached_property
    def dst_kinds(self) -> np.ndarray:
        """Kind of each destination."""
        heads = ["attn_q"] * self.n_heads + ["attn_k"] * self.n_kv_heads + ["attn_v"] * self.n_kv_heads
        return np.array([*[*heads, "mlp"] * self.n_blocks, "lm_head"])

    @cached_property
    def src_names(self) -> list[str]:
        """Printed names of the sources: resid_steer, a12.h3, m12."""
        names = ["resid_steer"]
        for layer in range(self.layer, self.n_layers):
            names += [*[f"a{layer}.h{head}" for head in range(self.n_heads)], f"m{layer}"]
        return names

    @cached_property
    def dst_names(self) -> list[str]:
        """Printed names of the destinations: a12.h3<q>, a12.h1<k> (a key-value head), m12, lm_head."""
        names = []
        for layer in range(self.layer, self.n_layers):
            for kind, count in (
                ("attn_q", self.n_heads),
                ("attn_k", self.n_kv_heads),
                ("attn_v", self.n_kv_heads),
            ):
                names += [f"a{layer}.h{head}<{_LETTER[kind]}>" for head in range(count)]
            names.append(f"m{layer}")
        return [*names, "lm_head"]

    @cached_property
    def dst_nodes(self) -> list[str]:
        """The node that each destination belongs to: for keys and values the first query head of their group."""
        group = self.n_heads // self.n_kv_heads
        nodes = []
        for layer in range(self.layer, self.n_layers):
            nodes += [f"a{layer}.h{head}" for head in range(self.n_heads)]
            nodes += [f"a{layer}.h{head * group}" for head in range(self.n_kv_heads)] * 2
            nodes.append(f"m{layer}")
        return [*nodes, "lm_head"]

    def pack(self, matrix: np.ndarray) -> np.ndarray:
        """The entries of [..., src, dst] that are edges, as [..., edge]."""
        src, dst = self.edges
        return matrix[..., src, dst]

    def unpack(self, values: np.ndarray) -> np.ndarray:
        """[..., edge] as a matrix [..., src, dst], zero or False where no edge is."""
        src, dst = self.edges
        matrix = np.zeros((*values.shape[:-1], self.n_src, self.n_dst), dtype=values.dtype)
        matrix[..., src, dst] = values
        return matrix

    def census(self) -> dict[str, Mapping[str, int]]:
        """Edges by the kind of their source and of their destination."""
        return self.count_kinds(self.edge_mask)

    def count_kinds(self, mask: Bool[np.ndarray, "src dst"]) -> dict[str, Mapping[str, int]]:
        """Edges of a set by the kind of their source and of their destination."""
        out_of, into = mask.sum(1), mask.sum(0)
        return {
            "src": {kind: int(out_of[self.src_kinds == kind].sum()) for kind in SOURCE_KINDS},
            "dst": {kind: int(into[self.dst_kinds == kind].sum()) for kind in DESTINATION_KINDS},
        }
