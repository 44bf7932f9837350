"""Tables of circuits as HTML: sizes, patching sets, kinds of edges, exact effects."""

from __future__ import annotations

from itertools import product

import pandas as pd
from markupsafe import Markup

from steering_study.drawing import theme
from steering_study.drawing.html import Cell, html_table
from steering_study.drawing.words import NARROW, percent

METRIC_LABELS = {
    "logit_difference": "logit difference",
    "kl_0": "directional KL, all positions",
    "kl_1": "directional KL ≥ 1 nat",
    "kl_5": "directional KL ≥ 5 nats",
}
NODE_LABELS = {
    "resid_steer": "steering residual",
    "attn_head": "heads",
    "mlp": "MLPs",
    "attn_q": "queries",
    "attn_k": "keys",
    "attn_v": "values",
    "lm_head": "LM head",
}
SCOPE_LABELS = {"graph": "whole graph", "circuit": "circuit", "top_edges": "its top edges"}
MAX_RESIDUAL = 2.0  # percent; a larger one says that the integral needs more steps


def table_minimum(faithfulness: pd.DataFrame) -> Markup:
    """The minimum-faithful circuit of each method, by test set."""
    header = ["method", "prompts", "edges", "share of all", "faithfulness", "mean of ratios", "responses"]
    rows, groups = [], []
    for row in faithfulness.loc[faithfulness["minimum"]].to_dict("records"):
        interval = f"[{row['low']:.2f},{NARROW}{row['high']:.2f}]"
        rows.append(
            [
                Cell(theme.method_label(row["vector_method"])),
                Cell(theme.dataset_label(row["dataset"])),
                Cell(str(row["n_edges"]), value=float(row["n_edges"])),
                Cell(percent(row["share_of_edges"]), value=row["share_of_edges"]),
                Cell(f"{row['faithfulness']:.2f} {interval}", value=row["faithfulness"]),
                Cell(f"{row['mean_of_ratios']:.2f}", value=row["mean_of_ratios"]),
                Cell(str(row["n"]), value=float(row["n"])),
            ]
        )
        groups.append(theme.model_label(row["model"]))
    return html_table(header, rows, groups=groups, kind="numbers")


def table_sets(completeness: pd.DataFrame, published: pd.DataFrame) -> Markup:
    """Table 3 and 9: responses and positions of each patching set and metric, and the completeness of its scores."""
    printed = theme.in_order(published["published_model"], theme.MODEL_LABELS)
    header = ["method", "patching set", "metric", "responses", "positions\nthat count", "of", "residual"]
    header += [f"{theme.model_label(name)}\nresponses, positions" for name in printed]
    rows, groups = [], []
    for row in completeness.to_dict("records"):
        residual = row["residual_percent"]
        is_warned = residual > MAX_RESIDUAL
        here = published.loc[
            (published["method"] == row["method"])
            & (published["patching_set"] == row["patching_set"])
            & (row["metric"] == "logit_difference")
        ].set_index("published_model")
        beside = [
            Cell(
                f"{here.loc[name, 'n']}, {here.loc[name, 'n_positions']}" if name in here.index else "",
                kind="published",
            )
            for name in printed
        ]
        rows.append(
            [
                Cell(theme.method_label(row["method"])),
                Cell(row["patching_set"].replace("_", f",{NARROW}") + " text"),
                Cell(METRIC_LABELS[row["metric"]]),
                Cell(str(row["n"]), value=float(row["n"])),
                Cell(str(row["n_positions"]), value=float(row["n_positions"])),
                Cell(str(row["n_tokens"]), value=float(row["n_tokens"])),
                Cell(
                    f"{residual:.2f}{NARROW}%",
                    note=f"above {MAX_RESIDUAL:g} %: more steps needed" if is_warned else "",
                    value=residual,
                    kind="unflipped" if is_warned else "",
                ),
                *beside,
            ]
        )
        groups.append(theme.model_label(row["model"]))
    return html_table(header, rows, groups=groups, kind="numbers")


def table_metrics(completeness: pd.DataFrame, published: pd.DataFrame) -> Markup:
    """Table 9: response positions that each metric counts, the four patching sets together."""
    models = theme.models_in(completeness)
    header = ["method", *(f"{theme.model_label(model)}\npositions" for model in models)]
    header += ["Gemma 2 2B, DIM\npublished"]
    printed = published.set_index("metric")["n_positions"]
    keys = ["metric", "method", "model"]
    sums = completeness.groupby(keys, sort=False)[["n_positions", "n_tokens"]].sum().reset_index()
    rows, groups = [], []
    for metric, method in product(theme.in_order(sums["metric"], METRIC_LABELS), theme.methods_in(sums)):
        here = sums.loc[(sums["metric"] == metric) & (sums["method"] == method)].set_index("model")
        theirs = method == "dim" and metric in printed.index
        rows.append(
            [
                Cell(theme.method_label(method)),
                *(_positions_cell(here, model) for model in models),
                Cell(f"{printed[metric]:,}", value=float(printed[metric]), kind="published")
                if theirs
                else Cell("", kind="published"),
            ]
        )
        groups.append(METRIC_LABELS[metric])
    return html_table(header, rows, groups=groups, kind="numbers")


def table_shares(shares: pd.DataFrame, census: pd.DataFrame, published: pd.DataFrame) -> Markup:
    """Tables 5 to 8: kinds of node at both ends of the edges of the graph, the circuits and their top edges."""
    printed = theme.in_order(published["published_model"], theme.MODEL_LABELS)
    models = theme.models_in(shares)
    header = ["edges", "method", *(theme.model_label(model) for model in models)]
    header += [f"{theme.model_label(name)}\npublished" for name in printed]
    totals = census.groupby(["model", "end"])["edges"].transform("sum")
    whole = census.assign(method="", scope="graph", percent=100 * census["edges"] / totals)
    ours = pd.concat([whole, shares])
    rows, groups = [], []
    for (end, kind), part in ours.groupby(["end", "node_kind"], sort=False):
        for (scope, method), here in part.groupby(["scope", "method"], sort=False):
            at = here.set_index("model")["percent"]
            there = published.loc[
                (published["end"] == end)
                & (published["node_kind"] == kind)
                & (published["scope"] == scope)
                & (published["method"] == method)
            ].set_index("published_model")["percent"]
            rows.append(
                [
                    Cell(SCOPE_LABELS[str(scope)]),
                    Cell(theme.method_label(str(method))),
                    *(_percent_cell(at, model) for model in models),
                    *(_percent_cell(there, name, kind="published") for name in printed),
                ]
            )
            groups.append(f"{'out of' if end == 'out' else 'into'} {NODE_LABELS[str(kind)]}")
    return html_table(header, rows, groups=groups, kind="numbers")


def table_groups(interchange: pd.DataFrame) -> Markup:
    """Exact effect of all edges into a kind together, beside the sum of their scores."""
    header = [
        "method",
        "prompts",
        "edges into",
        "sum of scores\nlogits a position",
        "exact effect\nlogits a position",
    ]
    rows, groups = [], []
    for row in interchange.loc[interchange["src"] == "all"].to_dict("records"):
        kind = row["dst_kind"]
        rows.append(
            [
                Cell(theme.method_label(row["method"])),
                Cell(theme.dataset_label(row["dataset"])),
                Cell("queries and keys" if kind == "attn_qk" else NODE_LABELS[kind]),
                Cell(f"{row['score']:.3g}", value=row["score"]),
                Cell(f"{row['effect']:.3g}", value=row["effect"]),
            ]
        )
        groups.append(theme.model_label(row["model"]))
    return html_table(header, rows, groups=groups, kind="numbers")


def table_fit(fit: pd.DataFrame) -> Markup:
    """How well scores rank and size exact effects."""
    header = ["method", "edges into", "edges sampled", "rank correlation", "slope"]
    rows = [
        [
            Cell(theme.method_label(row["method"])),
            Cell("all kinds" if row["dst_kind"] == "all" else NODE_LABELS[row["dst_kind"]]),
            Cell(str(row["n"]), value=float(row["n"])),
            Cell(f"{row['spearman']:.2f}", value=row["spearman"]),
            Cell(f"{row['slope']:.2f}", value=row["slope"]),
        ]
        for row in fit.to_dict("records")
    ]
    return html_table(
        header, rows, groups=[theme.model_label(model) for model in fit["model"]], kind="numbers"
    )


def _positions_cell(sums: pd.DataFrame, model: str) -> Cell:
    if model not in sums.index:
        return Cell("")
    counted, of = sums.loc[model, "n_positions"], sums.loc[model, "n_tokens"]
    return Cell(f"{counted:,}", note=f"{percent(counted / of)} of {of:,}", value=float(counted))


def _percent_cell(values: pd.Series, name: str, *, kind: str = "") -> Cell:
    if name not in values.index:
        return Cell("", kind=kind)
    value = float(values.loc[name])
    return Cell(f"{value:.1f}{NARROW}%", value=value, kind=kind)
