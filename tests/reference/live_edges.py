"""Edges of a set on a path from the steering residual to the LM head, by a search over a graph of named nodes."""

from __future__ import annotations

import networkx
import numpy as np


def live_edges(graph, mask):
    net = networkx.DiGraph()
    net.add_nodes_from(["resid_steer", "lm_head"])
    group = graph.n_heads // graph.n_kv_heads
    for name in graph.dst_names:
        if name == "lm_head":
            continue
        node, _, end = name.partition("<")
        block, head = (node[1:], None) if not end else node[1:].split(".h")
        owners = [node] if end in ("", "q>") else [f"a{block}.h{int(head) * group + i}" for i in range(group)]
        for owner in owners:
            net.add_edge(f"in:{name}", f"out:{owner}")
    for src, dst in zip(*np.nonzero(mask), strict=True):
        source, target = graph.src_names[src], graph.dst_names[dst]
        net.add_edge(
            source if source == "resid_steer" else f"out:{source}",
            target if target == "lm_head" else f"in:{target}",
        )
    live = networkx.descendants(net, "resid_steer") | {"resid_steer"}
    live &= networkx.ancestors(net, "lm_head") | {"lm_head"}
    kept = np.zeros_like(mask)
    for src, dst in zip(*np.nonzero(mask), strict=True):
        source, target = graph.src_names[src], graph.dst_names[dst]
        ends = (
            source if source == "resid_steer" else f"out:{source}",
            target if target == "lm_head" else f"in:{target}",
        )
        kept[src, dst] = all(end in live for end in ends)
    return kept
