"""The graph of rules and its table of times: nothing overlaps, and every line leads down."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.patches import FancyBboxPatch
from tests.conftest import REPOSITORY
from tests.report.run_jobs import small_study

from steering_study.drawing.theme import PART_COLOURS, part_label, part_number
from steering_study.report.run.figures.rule_graph import BOX, GAP, LINE, MOST, place_nodes, plot_rule_graph
from steering_study.report.run.figures.rule_times import plot_rule_times
from steering_study.report.run.figures.tables import table_cards, table_files, table_rule_times, table_spread
from steering_study.report.run.jobs import rule_graph

SECONDS = ("total_seconds", "mean_seconds", "longest_seconds", "cpu_seconds")
TIMES = pd.DataFrame(
    [
        ("generate", "steering", 4, 4, 90.0, 22.5, 30.0, 60.0, 800.0),
        ("judge", "steering", 2, 1, 3.0, 3.0, 3.0, 1.0, 90.0),
        ("draw", "report", 1, 0, 0.0, np.nan, np.nan, 0.0, np.nan),
    ],
    columns=["rule", "part", "jobs", "measured", *SECONDS, "max_rss_mib"],
)


def check_layout(nodes, edges):
    places, ways = place_nodes(nodes, edges)
    assert set(places) == set(nodes)
    assert set(ways) == set(edges)
    items = [(row, column, BOX) for column, row in places.values()]
    items += [(row, column, LINE) for way in ways.values() for column, row in way[1:-1]]
    for (row, column, width), (other_row, other, other_width) in pairwise(sorted(items)):
        if row == other_row:
            assert other - column >= (width + other_width) / 2 + GAP - 1e-6
    for (source, target), way in ways.items():
        assert (way[0], way[-1]) == (places[source], places[target])
        assert [row for _, row in way] == list(range(places[source][1], places[target][1] + 1))
        assert len(way) > 1
    rows = [row for _, row in places.values()]
    assert max((rows.count(row) for row in rows), default=0) <= MOST


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 14), st.data())
def test_no_boxes_or_lines_overlap_and_edges_lead_down(n, data):
    pairs = [(a, b) for a in range(n) for b in range(a + 1, n)]
    edges = data.draw(st.lists(st.sampled_from(pairs), unique=True, max_size=20)) if pairs else []
    check_layout(list(range(n)), edges)


def test_layout_of_a_study():
    stages, links = rule_graph(small_study())
    check_layout(list(stages["stage"]), list(zip(links["source"], links["target"], strict=True)))


def test_more_nodes_than_fit_take_further_rows():
    places, _ = place_nodes(list(range(2 * MOST + 1)), [])
    assert {row for _, row in places.values()} == {0, 1, 2}


def test_a_circle_is_refused():
    with pytest.raises(ValueError, match="the rules make a circle"):
        place_nodes([0, 1], [(0, 1), (1, 0)])


def test_graph_shows_every_stage_with_its_jobs():
    stages, links = rule_graph(small_study())
    figure = plot_rule_graph(stages, links)
    figure.canvas.draw()
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert {"prepare", "generate", "6 · sweep: dim × 1", "6 · test × 2"} <= set(texts)
    assert len(figure.axes[0].findobj(FancyBboxPatch)) == len(stages)


def test_words_stay_in_their_boxes():
    stages, links = rule_graph(small_study())
    stages["rule"] = [f"{rule}_and_a_rather_long_name_of_a_rule" for rule in stages["rule"]]
    figure = plot_rule_graph(stages, links)
    figure.canvas.draw()
    boxes = [box.get_window_extent() for box in figure.axes[0].findobj(FancyBboxPatch)]
    for text in figure.axes[0].texts:
        extent = text.get_window_extent()
        assert any(
            box.x0 <= extent.x0 and extent.x1 <= box.x1 and box.y0 <= extent.y0 <= box.y1 for box in boxes
        )


def test_parts_differ_without_colour():
    labels = [part_label(part) for part in PART_COLOURS]
    assert labels[:2] == ["1 prompts", "2 models"]
    assert len({part_number(part) for part in PART_COLOURS}) == len(PART_COLOURS)
    assert part_number("somebody's") == "+"
    rules = {path.stem for path in (REPOSITORY / "workflow/rules").glob("*.smk")}
    assert set(PART_COLOURS) == rules - {"common", "requests", "quality", "pocket"}  # those on request alone
    stages, links = rule_graph(small_study())
    (legend,) = plot_rule_graph(stages, links).legends
    assert "6 steering" in [text.get_text() for text in legend.get_texts()]


def test_times_leave_out_what_was_not_measured():
    figure = plot_rule_times(TIMES)
    figure.canvas.draw()
    ax = figure.axes[0]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["generate  6", "judge  6"]
    assert [bar.get_width() for bar in ax.patches] == [90.0, 3.0]
    assert any("90\N{NO-BREAK SPACE}s (4 jobs)" in text.get_text() for text in ax.texts)


def test_times_of_nothing_draw():
    plot_rule_times(TIMES.iloc[2:]).canvas.draw()


def test_table_of_times_sorts_by_numbers():
    text = table_rule_times(TIMES)
    assert 'data-value="90"' in text
    assert "1 measured" in text
    assert text.count("<tr>") == 4


def test_table_of_cores():
    assert "4.0 ×" in table_spread({1: 60.0, 8: 15.0}, 60.0)


def test_table_of_files_leads_to_each_and_shows_changes():
    row = {"path": "results/<a>.parquet", "rule": "r", "known_from": "file", "code": "c0de", "seed": ""}
    row |= {"revision": "f" * 40, "inputs": 3, "changed": 1, "count": 1200, "unit": "rows"}
    row |= {"bytes": 123456, "sha256": "0" * 64}
    text = table_files(pd.DataFrame([row]), {row["path"]: "../results/a.parquet"})
    assert 'href="../results/a.parquet"' in text
    assert "results/&lt;a&gt;.parquet" in text
    assert "1 changed" in text
    assert 'data-value="123456"' in text
    assert "f" * 12 in text
    assert "f" * 13 not in text


def test_cards_show_every_key_and_white_space():
    card = {
        "name": "pocket-llama",
        "n_layers": 8,
        "post_instruction_tokens": ["<a>", "Ċ"],
        "end_of_turn_ids": [2, 3],
        "template": {"enable_thinking": False},
        "own": "x",
    }
    text = table_cards([card])
    assert "pocket-llama" in text
    assert "&lt;a&gt;  ↵" in text
    assert "2, 3" in text
    assert "own" in text
    assert "enable_thinking: False" in text
