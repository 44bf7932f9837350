"""Figures and tables of the attention section draw from small frames and say what is in them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from tests.attention.frames import decompositions

from steering_study.attention.figures.ablations import (
    plot_ablations,
    plot_scopes,
    table_ablation_means,
    table_ablations,
    table_frozen_examples,
)
from steering_study.attention.figures.value_vectors import (
    plot_attention_maps,
    plot_concepts,
    plot_explained,
    table_concepts,
    table_mlps,
    table_neurons,
    table_tokens,
)


def ablation(name, dataset, change, *, scope="all", asr=0.5):
    row = {"model": "pocket-llama", "method": "dim", "scope": scope, "ablation": name, "dataset": dataset}
    rates = {"n": 20, "asr": asr, "asr_low": asr - 0.1, "asr_high": asr + 0.1, "degenerate_rate": 0.05}
    changes = {"change_points": change, "change_low": change - 5, "change_high": change + 5}
    return {**row, **rates, **changes, "condition": "induce", "p_value": 0.0004}


@pytest.fixture
def ablations():
    return pd.DataFrame(
        [
            ablation("none", "harmless", 0.0),
            ablation("qk", "harmless", -10.0),
            ablation("ov", "harmless", 40.0),
        ]
        + [
            ablation(name, "harmless", 1.0, scope=scope)
            for scope in ("prompt", "response")
            for name in ("none", "qk")
        ]
    )


@pytest.fixture
def published():
    return pd.DataFrame(
        {
            "published_model": ["gemma-2-2b-it"] * 2,
            "ablation": ["none", "ov"],
            "dataset": ["harmless"] * 2,
            "published_dataset": ["alpaca"] * 2,
            "asr": [0.0, 0.57],
            "change_points": [np.nan, 57.0],
        }
    )


@pytest.fixture
def frames():
    made = decompositions(("dim",), np.random.default_rng(0))
    made = {name: table.assign(model="pocket-llama") for name, table in made.items()}
    joined = {column: made["neurons"][column].map(", ".join) for column in ("promotes", "suppresses")}
    return {**made, "neurons": made["neurons"].assign(**joined)}


def test_ablations_are_drawn_with_published_ones(ablations, published):
    figure = plot_ablations(ablations, published)
    (ax,) = figure.axes
    assert [label.get_text() for label in ax.get_yticklabels()] == [
        "attention weights frozen (qk)",
        "values frozen (ov)",
    ]
    assert any(57.0 in line.get_xdata() for line in ax.lines)


def test_scopes_show_what_all_of_them_have(ablations):
    figure = plot_scopes(ablations)
    assert len(figure.axes) == 3
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == ["steering alone", "attention weights frozen (qk)"]


def test_table_1_prints_rates_changes_and_published_values(ablations, published):
    html = str(table_ablations(ablations, published))
    assert "+40 points [+35,\N{NO-BREAK SPACE}+45], p &lt; 0.001" in html
    assert "57\N{NO-BREAK SPACE}%" in html
    assert "+57 points" in html


def test_averages_stand_beside_the_published_ones():
    means = pd.DataFrame(
        [(method, name) for method in ("dim", "ntp") for name in ("none", "ov")],
        columns=["method", "ablation"],
    ).assign(scope="all", n_cells=4, n=160, degenerate_points=-3.0)
    means = means.assign(change_points=12.34, change_low=8.0, change_high=16.0)
    published = pd.DataFrame({"ablation": ["ov"], "mean_change_points": [71.75]})
    html = str(table_ablation_means(means, published))
    assert html.count("+12.3 [+8,") == 2
    assert html.count("+71.75") == 1  # published for DIM alone


def test_examples_are_shown_in_order_and_escaped():
    names = ["base", "none", "qk", "ov"]
    examples = pd.DataFrame({"ablation": names, "text": [f"<i>{name}" for name in names]})
    examples = examples.assign(model="m", dataset="harmless", condition="induce")
    examples = examples.assign(prompt_id="p", prompt="<b>?", verdict="refused")
    html = str(table_frozen_examples(examples))
    assert html.index("&lt;i&gt;base") < html.index("&lt;i&gt;none") < html.index("&lt;i&gt;ov")
    assert "<b>?" not in html


@pytest.mark.parametrize(
    ("plot", "name"),
    [(plot_explained, "nodes"), (plot_concepts, "svv_concepts"), (plot_attention_maps, "attention_maps")],
)
def test_figures_draw(plot, name, frames):
    figure = plot(frames[name])
    assert isinstance(figure, Figure)
    assert figure.axes


def test_maps_show_the_difference(frames):
    figure = plot_attention_maps(frames["attention_maps"])
    base, steered, difference = (np.asarray(ax.collections[0].get_array()) for ax in figure.axes[:3])
    assert np.allclose(steered - base, difference, equal_nan=True)


def test_tables_print_words(frames):
    tokens = str(table_tokens(frames["svv_tokens"]))
    assert "word1*, word2*, word3, word4" in tokens
    assert "2 of 4 in the word list" in tokens
    assert "the vector itself" in tokens
    assert "m3.n7" in str(table_neurons(frames["neurons"]))
    assert "MLP 3" in str(table_mlps(frames["nodes"]))
    assert "value vectors of all heads" in str(table_concepts(frames["svv_concepts"]))
