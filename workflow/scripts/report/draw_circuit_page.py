"""A page on which a reader looks at a model's circuits edge by edge."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from steering_study.circuits.figures.drawing import head_of, layer_of, positions_of
from steering_study.circuits.schemas import TOP_EDGES
from steering_study.drawing.theme import method_label, methods_in, model_label
from steering_study.drawing.writing import in_script, write_page
from steering_study.store.artifacts import read_table
from steering_study.store.job import job

if TYPE_CHECKING:
    snakemake: Any = None

SHOWN_AT_FIRST = 30
STEP_X, STEP_Y, MARGIN = 76, 110, 50  # pixels between heads, between blocks, around


def main(top_edges: Path, *, template: Path, model: str, page: Path) -> None:
    """Write the page; it works from disk and loads nothing."""
    edges = read_table(top_edges, TOP_EDGES)
    nodes = {*edges["src"], *edges["dst_node"]}
    layers = sorted({layer for node in nodes if (layer := layer_of(node)) is not None})
    n_heads = 1 + max((head for node in nodes if (head := head_of(node)) is not None), default=0)
    height = 2 * MARGIN + STEP_Y * (len(layers) + 1)
    places = {
        node: (MARGIN + STEP_X * x, height - MARGIN - STEP_Y * y)
        for node, (x, y) in positions_of(nodes, layers=layers, n_heads=n_heads).items()
    }
    methods = methods_in(edges)
    columns = ["method", "rank", "src", "dst", "dst_node", "dst_kind", "score", "in_circuit"]
    values = {
        "model": model_label(model),
        "methods": [{"name": name, "label": method_label(name)} for name in methods],
        "edges": in_script(edges[columns].to_dict("records")),
        "places": in_script(places),
        "width": 2 * MARGIN + STEP_X * (n_heads + 1),
        "height": height,
        "shown": min(SHOWN_AT_FIRST, len(edges)),
        "largest": int(edges.groupby("method").size().max()),
    }
    write_page(template, page, values)


if "snakemake" in globals():
    with job(snakemake):
        main(
            Path(snakemake.input.top_edges),
            template=Path(snakemake.input.template),
            model=snakemake.wildcards.model,
            page=Path(snakemake.output.page),
        )
