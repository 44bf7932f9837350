"""The graph has exactly the edges that the published counts imply."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from tests.conftest import REPOSITORY

from steering_study.circuits.graph import Graph

GRAPHS = {"gemma-2-2b-it": Graph(26, 15, 8, 4), "llama-3.2-3b-instruct": Graph(28, 12, 24, 8)}
PUBLISHED = pd.read_csv(REPOSITORY / "resources/paper/edge_counts.csv")
SMALL = Graph(3, 1, 2, 1)


@pytest.mark.parametrize(
    "row", list(PUBLISHED.itertuples()), ids=lambda row: f"{row.model}-{row.end}-{row.node_kind}"
)
def test_census_equals_the_published_counts(row):
    end = {"out": "src", "in": "dst"}[row.end]
    assert GRAPHS[row.model].census()[end][row.node_kind] == row.edges


@pytest.mark.parametrize(("model", "total"), [("gemma-2-2b-it", 8790), ("llama-3.2-3b-instruct", 124441)])
def test_totals_equal_the_published_ones(model, total):
    assert GRAPHS[model].n_edges == total


def test_a_small_graph_by_hand():
    # blocks 1 and 2, two heads, one key-value head
    assert SMALL.src_names == ["resid_steer", "a1.h0", "a1.h1", "m1", "a2.h0", "a2.h1", "m2"]
    assert SMALL.dst_names == [
        *["a1.h0<q>", "a1.h1<q>", "a1.h0<k>", "a1.h0<v>", "m1"],
        *["a2.h0<q>", "a2.h1<q>", "a2.h0<k>", "a2.h0<v>", "m2"],
        "lm_head",
    ]
    readable = {name: int(SMALL.edge_mask[:, i].sum()) for i, name in enumerate(SMALL.dst_names)}
    assert readable == {
        **dict.fromkeys(["a1.h0<q>", "a1.h1<q>", "a1.h0<k>", "a1.h0<v>"], 1),
        "m1": 3,  # resid_steer and the block's own heads
        **dict.fromkeys(["a2.h0<q>", "a2.h1<q>", "a2.h0<k>", "a2.h0<v>"], 4),
        "m2": 6,
        "lm_head": 7,
    }


def test_edges_run_forward_only():
    order = {name: i for i, name in enumerate(SMALL.src_names)}
    for src, dst in zip(*SMALL.edges, strict=True):
        node = SMALL.dst_names[dst].split("<")[0]
        assert node == "lm_head" or src < order[node]


def test_packing_and_unpacking_are_inverse():
    values = np.arange(1, SMALL.n_edges + 1)
    matrix = SMALL.unpack(values)
    assert (SMALL.pack(matrix) == values).all()
    assert (matrix != 0).sum() == SMALL.n_edges


def test_slices_name_the_right_nodes():
    assert SMALL.src_names[SMALL.heads_src(1)] == ["a2.h0", "a2.h1"]
    assert SMALL.src_names[SMALL.mlp_src(0)] == "m1"
    assert SMALL.dst_names[SMALL.dst(1, "attn_v")] == ["a2.h0<v>"]
    assert SMALL.dst_names[SMALL.dst(0, "mlp")] == ["m1"]
    assert SMALL.dst_names[SMALL.lm_head] == "lm_head"


@pytest.mark.parametrize("n_kv_heads", [1, 2, 4])
def test_a_head_reads_its_query_and_its_groups_keys_and_values(n_kv_heads):
    graph = Graph(3, 1, 4, n_kv_heads)
    group = 4 // n_kv_heads
    for layer in (1, 2):
        for head in range(4):
            read = graph.reads[graph.src_names.index(f"a{layer}.h{head}")]
            names = {graph.dst_names[dst] for dst in np.flatnonzero(read)}
            shared = head // group
            assert names == {f"a{layer}.h{head}<q>", f"a{layer}.h{shared}<k>", f"a{layer}.h{shared}<v>"}
        (mlp,) = np.flatnonzero(graph.reads[graph.src_names.index(f"m{layer}")])
        assert graph.dst_names[mlp] == f"m{layer}"
    assert not graph.reads[0].any()
    assert not graph.reads[:, graph.lm_head].any()


@pytest.mark.parametrize("layer", [-1, 3])
def test_layer_outside_the_model_is_refused(layer):
    with pytest.raises(ValueError, match=r"outside 0\.\.2"):
        Graph(3, layer, 2, 1)


def test_uneven_groups_are_refused():
    with pytest.raises(ValueError, match="no multiple"):
        Graph(3, 1, 3, 2)


def test_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="none of"):
        SMALL.dst(0, "lm_head")
