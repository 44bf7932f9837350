"""Figures and tables of the sparsity section draw from small frames and say what is in them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PolyCollection
from tests.sparsity.frames import sparsity_summaries

from steering_study.drawing.words import percent
from steering_study.sparsity.figures.plots import (
    plot_iou,
    plot_sparse_circuits,
    plot_sparse_kl,
    plot_sparsity,
    plot_variants,
)
from steering_study.sparsity.figures.tables import (
    table_published_sparsity,
    table_retention,
    table_shared,
    table_shared_tokens,
    table_sparsity,
)
from steering_study.sparsity.section import average_draws, average_sets, pick_shared, pick_variants
from steering_study.sparsity.sparsify import Grid

MAIN_SETS = ["harmful", "harmless"]
NARROW = "\N{NO-BREAK SPACE}"


@pytest.fixture(scope="module")
def tables():
    made = sparsity_summaries(("dim", "ntp"), np.random.default_rng(0))
    return {name: table.assign(model="pocket-llama") for name, table in made.items()}


@pytest.fixture(scope="module")
def curves(tables):
    return average_draws(tables["sparsity"])


@pytest.fixture
def published():
    return pd.DataFrame(
        {
            "published_model": ["gemma-2-2b-it", "llama-3.2-3b-instruct"],
            "method": "dim",
            "criterion": "gradient",
            "dataset": "harmful",
            "published_dataset": "jailbreakbench",
            "threshold": 0.5,
            "sparsity_percent": [53.2, 51.9],
            "asr": [0.123, 0.456],
        }
    )


@pytest.fixture
def families():
    return pd.DataFrame({"model": ["pocket-llama"], "published_model": ["llama-3.2-3b-instruct"]})


def test_curves_start_at_the_dense_vector_and_stand_beside_their_own_family(curves, published, families):
    figure = plot_sparsity(curves, published, families)
    assert len(figure.axes) == 2 * 3  # methods, test sets
    harmful = figure.axes[1]
    assert "harmful prompts\ngoal: higher" in (harmful.get_title(), harmful.get_title(loc="left"))
    solid = next(line for line in harmful.lines if line.get_color() == "#000000")
    assert list(np.asarray(solid.get_xdata())) == [100, 50, 10]
    diamonds = [line for line in harmful.lines if line.get_marker() == "D"]
    assert [list(np.asarray(line.get_ydata())) for line in diamonds] == [[0.456]]
    assert [tick.get_text() for tick in figure.axes[-1].get_xticklabels()] == ["0", "50", "80", "90"]


def test_thresholds_that_drop_none_or_all_have_rows_and_figures(published, families):
    """A threshold of 0 keeps the dense vector, one of 1000 keeps nothing, which has no place on the axis."""
    grid = Grid(percents=[50.0], thresholds=[0.0, 1000.0], draws=2)
    made = sparsity_summaries(("dim", "ntp"), np.random.default_rng(0), grid)
    found = {name: table.assign(model="pocket-llama") for name, table in made.items()}
    for name in ("sparsity", "sparsity_kl", "iou"):
        own = found[name][found[name]["criterion"] == "gradient"]
        assert {0.0, 1000.0} <= set(own["threshold"])
        assert {0.0, 50.0, 100.0} <= set(own["sparsity_percent"])
    assert np.isfinite(found["retention"]["area"]).all()
    for figure in (
        plot_sparsity(average_draws(found["sparsity"]), published, families),
        plot_sparse_kl(found["sparsity_kl"]),
        plot_iou(found["iou"]),
    ):
        figure.canvas.draw()
        assert 30 < figure.axes[0].get_xlim()[1] < 50


def test_a_grid_of_the_dense_vector_alone_leaves_no_curve(tmp_path):
    grid = Grid(percents=[], thresholds=[0.0], draws=1)
    retention = sparsity_summaries(("dim",), np.random.default_rng(0), grid)["retention"]
    assert retention["area"].isna().all()
    assert (retention["largest_percent"] == 0).all()
    assert set(retention["criterion"]) == {"gradient", "indirect_effect", "bottom_k", "dropout"}


def test_criteria_differ_in_dashes_and_lightness(curves, published, families):
    lines = plot_sparsity(curves, published, families).axes[0].lines
    drawn = {line.get_color(): line.get_linestyle() for line in lines if line.get_linestyle() != "None"}
    assert len(drawn) == len(set(drawn.values())) == 4
    weights = np.array([0.299, 0.587, 0.114])
    greys = sorted(
        float(weights @ [int(colour[i : i + 2], 16) for i in (1, 3, 5)]) for colour in map(str, drawn)
    )
    assert min(np.diff(greys)) > 15


def test_draws_of_dropout_span_their_band(curves, published, families):
    ax = plot_sparsity(curves, published, families).axes[1]
    (band,) = (each for each in ax.collections if isinstance(each, PolyCollection))
    heights = np.asarray(band.get_paths()[0].vertices)[:, 1]
    drawn = curves.query("criterion == 'dropout' and method == 'dim' and dataset == 'harmful'")
    assert heights.min() == pytest.approx(drawn["asr_low"].min())
    assert heights.max() == pytest.approx(drawn["asr_high"].max())


def test_variants_name_the_factor_that_was_chosen(tables):
    figure = plot_variants(pick_variants(tables["sparsity"], MAIN_SETS))
    assert len(figure.axes) == 2
    assert {text.get_text() for text in figure.axes[0].texts} == {"×2"}
    assert [tick.get_text() for tick in figure.axes[0].get_xticklabels()] == ["50 %"]


def test_divergences_start_at_zero(tables):
    figure = plot_sparse_kl(tables["sparsity_kl"])
    assert len(figure.axes) == 2 * 2
    for ax in figure.axes:
        assert ax.get_ylim()[0] == 0
        assert ax.get_ylim()[1] > 0.9  # the largest is 0.9 nats
        assert {float(np.asarray(line.get_ydata())[0]) for line in ax.lines} == {0.0}


def test_overlaps_are_filled_where_they_pass_chance(tables):
    rows = tables["iou"].query("criterion == 'gradient'").copy()
    rows["p_adjusted"] = [0.01, 0.2]
    (ax,) = plot_iou(rows).axes
    marked = [line for line in ax.lines if line.get_marker() == "o"]
    beyond, within = ([list(np.asarray(line.get_ydata())) for line in marked][i] for i in (0, 1))
    assert (beyond, within) == ([rows["iou"].iloc[0]], [rows["iou"].iloc[1]])
    assert marked[1].get_markerfacecolor() == "white"
    (chance,) = (line for line in ax.lines if line.get_linestyle() == "--")
    assert list(np.asarray(chance.get_ydata())) == list(rows["chance"])


def test_circuits_tell_what_each_vector_makes(tables):
    figure = plot_sparse_circuits(average_sets(tables["sparse_faithfulness"]))
    ax = figure.axes[0]
    assert [text.get_text() for text in ax.texts] == [
        "effect 2, 0.5, 0 logits"
    ]  # of 4, 1 and 0 over two positions
    assert list(np.asarray(ax.lines[0].get_ydata())) == [0.5, 1.0]


def test_a_sparse_vector_without_effect_has_no_curve(tables):
    ax = plot_sparse_circuits(average_sets(tables["sparse_faithfulness"])).axes[0]
    curves = [line for line in ax.lines if line.get_zorder() > 0]  # levels lie behind
    assert [line.get_linestyle() for line in curves] == ["-", "--"]  # the third vector's effect is 0


def test_retention_prints_intervals_and_published_values(tables):
    published = pd.DataFrame(
        {
            "published_model": ["gemma-2-2b-it", "llama-3.2-3b-instruct", "mean"],
            "method": "dim",
            "criterion": "gradient",
            "area": [0.95, 0.97, 0.96],
            "largest_percent": [83.7, 96.2, 89.95],
        }
    )
    row = (
        tables["retention"]
        .query("method == 'dim' and criterion == 'gradient' and dataset == 'main sets'")
        .iloc[0]
    )
    html = str(table_retention(tables["retention"], published))
    assert f"{row['area']:.2f} [{row['area_low']:.2f},{NARROW}{row['area_high']:.2f}]" in html
    assert "Gemma 2 2B 0.95, Llama 3.2 3B 0.97" in html
    assert 'data-value="89.95"' in html
    assert "n = 12" in html


def test_tables_10_and_11_hold_every_sparsity(curves, published):
    html = str(table_sparsity(curves))
    assert html.count('<tr class="group">') == 2 * 3
    assert html.count(">dense<") == 2 * 3
    assert f"50{NARROW}%" in html
    assert "% degenerate" in html
    printed = str(table_published_sparsity(published))
    assert "DIM, JailbreakBench prompts" in printed
    assert f"51.9 to 53.2{NARROW}%" in printed
    assert printed.index(f"12.3{NARROW}%") < printed.index(f"45.6{NARROW}%")


def test_shared_dimensions_stand_beside_chance_and_what_they_do(tables):
    sizes = tables["shared_dimensions"]
    html = str(table_shared(sizes, pick_shared(tables["sparsity"], MAIN_SETS)))
    row = sizes.iloc[0]
    assert f"{row['n_shared']} of {row['n_kept']}" in html
    assert "5.0 by chance" in html  # 20 (10 / 20)^2
    alone = (
        tables["sparsity"].query("criterion == 'shared' and method == 'dim' and dataset == 'harmful'").iloc[0]
    )
    assert f"{percent(alone['asr'])} [" in html
    assert f"{row['n_shared']} dimensions" in html
    assert f"{20 - row['n_shared']} dimensions" in html


def test_shared_tokens_are_words(tables):
    html = str(table_shared_tokens(tables["shared_tokens"]))
    assert "word1*, word2, word3" in html
    assert f"shared dimensions at 50{NARROW}%" in html
    assert "the vector itself" in html
