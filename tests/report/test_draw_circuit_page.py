"""The circuit page: the same bytes in every process, and names that are shown and never run."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from tests.report.pages import Page, loaded_by

from steering_study.circuits.schemas import TOP_EDGES
from steering_study.store.artifacts import write_table

ROOT = Path(__file__).parents[2]
TEMPLATE = ROOT / "workflow/report/circuit.html.j2"
HOSTILE = "</script><script>alert('name')</script><!-- & \""
NODES = ["resid_steer", "a1.h0", "a1.h1", "a2.h0", "a2.h1", "m1", "m2", "lm_head"]


@pytest.fixture
def top_edges(tmp_path) -> Path:
    """Edges between all nodes, of a method and with readers of hostile names."""
    pairs = [(a, b) for i, a in enumerate(NODES) for b in NODES[i + 1 :]]
    frame = pd.DataFrame(
        {
            "method": HOSTILE,
            "rank": range(1, len(pairs) + 1),
            "src": [src for src, _ in pairs],
            "dst": [f"{dst}{HOSTILE}" for _, dst in pairs],
            "dst_node": [dst for _, dst in pairs],
            "src_kind": "attn_head",
            "dst_kind": "mlp",
            "score": [1.0 / (1 + i) for i in range(len(pairs))],
            "in_circuit": True,
        }
    )
    write_table(tmp_path / "top_edges.parquet", frame, TOP_EDGES)
    return tmp_path / "top_edges.parquet"


def test_hostile_names_are_text(load_script, top_edges, tmp_path):
    load_script("draw_circuit_page").main(
        top_edges, template=TEMPLATE, model=HOSTILE, page=tmp_path / "page.html"
    )
    page = (tmp_path / "page.html").read_text("utf-8")
    assert Page(page).scripts == 2  # the edges and the page's own
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(" in page
    (edges,) = re.findall(r'id="edges">(.*?)</script>', page, re.DOTALL)
    assert json.loads(edges)[0]["method"] == HOSTILE
    assert loaded_by(page) == []


def test_every_process_writes_the_same_bytes(top_edges, tmp_path):
    pages = [tmp_path / f"{seed}.html" for seed in (0, 1)]
    for seed, page in enumerate(pages):
        code = (
            "import runpy, pathlib; main = runpy.run_path('workflow/scripts/report/draw_circuit_page.py')['main']; "
            f"main(pathlib.Path({str(top_edges)!r}), template=pathlib.Path({str(TEMPLATE)!r}), model='m', "
            f"page=pathlib.Path({str(page)!r}))"
        )
        environment = {**os.environ, "PYTHONHASHSEED": str(seed)}
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, check=True)
    assert len({page.read_bytes() for page in pages}) == 1
