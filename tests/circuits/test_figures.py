"""The figures and tables of circuits draw from small frames, and show what they say."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from tests.circuits.frames import circuit_summaries

from steering_study.circuits.figures.drawing import NEGATIVE, POSITIVE, plot_circuits, positions_of
from steering_study.circuits.figures.exact import plot_circuit_text, plot_interchange
from steering_study.circuits.figures.faithfulness import (
    plot_beside,
    plot_faithfulness,
    plot_patching_sets,
    plot_rankings,
)
from steering_study.circuits.figures.overlap import plot_exchange, plot_overlap
from steering_study.circuits.figures.tables import (
    table_fit,
    table_groups,
    table_metrics,
    table_minimum,
    table_sets,
    table_shares,
)
from steering_study.circuits.section import circuits_facts, circuits_leads

NO_SETS = pd.DataFrame(columns=["published_model", "method", "patching_set", "n", "n_positions"])
NO_SHARES = pd.DataFrame(columns=["published_model", "method", "scope", "end", "node_kind", "percent"])
PUBLISHED = pd.DataFrame({"model": ["gemma-2-2b-it"], "share_of_edges": [0.1], "faithfulness": [0.85]})


@pytest.fixture(scope="module")
def frames():
    found = {}
    for i, model in enumerate(("pocket-llama", "pocket-gemma")):
        for name, table in circuit_summaries(("dim", "ntp", "po"), seed=i).items():
            found.setdefault(name, []).append(table.assign(model=model))
    return {name: pd.concat(parts, ignore_index=True) for name, parts in found.items()}


def words(figure):
    figure.canvas.draw()
    return " ".join(text.get_text() for text in figure.findobj(lambda each: hasattr(each, "get_text")))


@pytest.mark.parametrize(
    ("plot", "names", "expected"),
    [
        (lambda f: plot_faithfulness(f, PUBLISHED), ["faithfulness"], "minimum-faithful"),
        (plot_rankings, ["faithfulness"], "found on one half"),
        (plot_patching_sets, ["faithfulness"], "harmful prompts, base text"),
        (plot_beside, ["faithfulness"], "random, twice its size"),
        (plot_exchange, ["faithfulness"], "circuit found with"),
        (plot_overlap, ["overlap"], "edges of the DIM circuit"),
        (plot_circuits, ["top_edges"], "steering residual"),
        (plot_interchange, ["interchange"], "into keys"),
        (plot_circuit_text, ["circuit_asr"], "the circuit alone"),
    ],
)
def test_figures_draw_and_name_what_they_show(frames, plot, names, expected):
    assert expected in words(plot(*(frames[name] for name in names)))


def test_a_share_below_a_percent_is_not_labelled_0(frames):
    figure = plot_faithfulness(frames["faithfulness"], PUBLISHED)
    figure.axes[0].set_xlim(0.0008, 1)
    figure.canvas.draw()
    labels = {label.get_text() for label in figure.axes[-1].get_xticklabels()}
    assert {"0.1%", "1%", "10%", "100%"} <= labels


def test_one_model_and_one_method_draw_as_well(frames):
    def one(name, column="method"):
        table = frames[name]
        return table[(table["model"] == "pocket-llama") & (table[column] == "dim")]

    curves = one("faithfulness", "vector_method")
    for figure in (
        plot_faithfulness(curves, PUBLISHED),
        plot_rankings(curves),
        plot_patching_sets(curves),
        plot_beside(curves),
        plot_exchange(curves),
        plot_circuits(one("top_edges")),
        plot_interchange(one("interchange")),
        plot_circuit_text(one("circuit_asr")),
        plot_overlap(one("overlap", "method_a").iloc[:0]),
    ):
        figure.canvas.draw()


def test_blocks_rise_and_the_mlp_stands_right_of_its_heads():
    places = positions_of({"a5.h0", "a5.h3", "m5", "a6.h1"}, layers=[5, 6], n_heads=4)
    assert (
        places["resid_steer"][1]
        < places["a5.h0"][1]
        < places["m5"][1]
        < places["a6.h1"][1]
        < places["lm_head"][1]
    )
    assert places["m5"][0] > places["a5.h3"][0] > places["a5.h0"][0]


def test_tables_hold_their_numbers(frames):
    minimum = frames["faithfulness"].query("minimum").iloc[0]
    assert f"{minimum['faithfulness']:.2f}" in table_minimum(frames["faithfulness"])
    sets = table_sets(frames["completeness"], NO_SETS)
    assert "logit difference" in sets
    assert "more steps needed" not in sets
    assert "more steps needed" in table_sets(frames["completeness"].assign(residual_percent=2.5), NO_SETS)
    assert "whole graph" in table_shares(frames["edge_shares"], frames["edge_census"], NO_SHARES)
    assert "queries and keys" in table_groups(frames["interchange"])
    assert "all kinds" in table_fit(frames["interchange_fit"])


def test_positions_of_a_metric_are_summed_over_its_patching_sets(frames):
    printed = pd.DataFrame({"metric": ["logit_difference", "kl_1"], "n_positions": [40473, 2423]})
    table = table_metrics(frames["completeness"], printed)
    own = frames["completeness"].query("model == 'pocket-gemma' and method == 'ntp' and metric == 'kl_1'")
    assert len(own) > 1
    assert f"<div>{own['n_positions'].sum():,}</div>" in table
    assert table.count("40,473") == 1  # beside DIM alone
    assert table.count('scope="rowgroup"') == 2  # the methods of a metric stand together


def test_what_carries_and_what_works_against_differ_without_colour():
    grey = [to_rgb(colour) @ np.array([0.299, 0.587, 0.114]) for colour in (POSITIVE, NEGATIVE)]
    assert abs(grey[0] - grey[1]) > 0.3


def test_leads_and_facts_name_the_smallest_circuits(frames):
    leads = circuits_leads(frames)
    assert len(leads) == 2
    smallest = frames["faithfulness"].query("minimum and model == 'pocket-gemma' and vector_method == 'dim'")
    assert f"DIM {smallest['n_edges'].iloc[0]} edges" in leads[1]
    assert circuits_facts(frames)["n_draws"] == "2"
