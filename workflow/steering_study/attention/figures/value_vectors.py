"""How the vector passes through heads and MLPs: what its direct term explains, and what it says in words."""

from __future__ import annotations

from typing import Any

import pandas as pd
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from steering_study.drawing import theme
from steering_study.drawing.html import Cell, html_table
from steering_study.drawing.words import percent, signed, visible, word

MEASURES = {
    "norm_share": "size of direct term\n/ size of change",
    "cosine": "cosine of direct term\nand change",
    "moved": "attention moved\n(total variation)",
}
DOT: dict[str, Any] = {"marker": "o", "linestyle": "none", "markersize": 5}
SOURCE_LABELS = {"vector": "the vector itself", "sum": "sum of all value vectors"}


def plot_explained(nodes: pd.DataFrame) -> Figure:
    """Share and direction of the change that the direct term explains, and how far attention moves, by block.

    Args:
        nodes: the table `nodes`.
    """
    models, methods = theme.models_in(nodes), theme.methods_in(nodes)
    figure = Figure(figsize=(theme.WIDTH, 1.9 * len(models) + 0.6), layout="constrained")
    axes = figure.subplots(len(models), len(MEASURES), squeeze=False, sharex="row")
    for row, model in enumerate(models):
        of_model = nodes.loc[nodes["model"] == model]
        for column, (measure, label) in enumerate(MEASURES.items()):
            ax = axes[row, column]
            for place, method in enumerate(methods):
                part = of_model.loc[of_model["method"] == method]
                x = 0.5 * (place - (len(methods) - 1) / 2) / len(methods)
                colour = theme.colour_of(method)
                heads = part.loc[part["kind"] == "attn_head"]
                ax.plot(heads["block"] + x, heads[measure], ".", markersize=3, color=colour, alpha=0.35)
                for kind, marker in (("attn", "o"), ("mlp", "^")):
                    rows = part.loc[(part["kind"] == kind) & part[measure].notna()]
                    ax.plot(rows["block"] + x, rows[measure], marker, markersize=5, color=colour)
            ax.axhline(0, color="#d0d0d0", linewidth=0.8, zorder=0)
            if measure != "moved":
                ax.axhline(1, color="#d0d0d0", linewidth=0.8, zorder=0)
            ax.xaxis.set_major_locator(MaxNLocator(integer=True))
            ax.set_title(theme.model_label(model) if column == 0 else "", fontsize=9)
            ax.set_ylabel(label, fontsize=8)
            if row == len(models) - 1:
                ax.set_xlabel("block")
    handles = [Line2D([], [], color=theme.colour_of(m), label=theme.method_label(m), **DOT) for m in methods]
    handles += [
        Line2D([], [], color=theme.FAINT, marker=marker, linestyle="none", markersize=size, label=label)
        for marker, size, label in ((".", 4, "a head"), ("o", 5, "all heads of a block"), ("^", 5, "its MLP"))
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    return figure


def plot_concepts(concepts: pd.DataFrame) -> Figure:
    """Concept score of every head's value vector, in the direction in which it works; a panel a model and method.

    Args:
        concepts: the table `svv_concepts`.
    """
    heads = concepts.loc[concepts["head"] >= 0]
    heads = heads.loc[heads["sign"] == heads["ie"].map(lambda ie: 1 if ie >= 0 else -1)]
    models, methods = theme.models_in(heads), theme.methods_in(heads)
    figure = Figure(figsize=(theme.WIDTH, 1.75 * len(models) + 0.3), layout="constrained")
    axes = figure.subplots(len(models), len(methods), squeeze=False)
    norm = Normalize(0, max(0.3, float(heads["concept_score"].max())))
    for row, model in enumerate(models):
        for column, method in enumerate(methods):
            ax = axes[row, column]
            part = heads.loc[(heads["model"] == model) & (heads["method"] == method)]
            grid = part.pivot(index="block", columns="head", values="concept_score")
            draw_cells(ax, grid, cmap="Blues", norm=norm)
            significant = part.loc[part["p_value"] < 0.05 / len(part)]
            y = significant["block"] - grid.index[0]
            ax.plot(significant["head"], y, "*", color=theme.SELECTED, markersize=6)
            negative = part.loc[part["ie"] < 0]
            y = negative["block"] - grid.index[0] + 0.28
            ax.plot(negative["head"], y, "_", color=theme.INK, markersize=4)
            step = max(1, len(grid.columns) // 8)
            ax.set_xticks(range(0, len(grid.columns), step), grid.columns[::step])
            ax.set_yticks(range(0, len(grid), max(1, len(grid) // 8)), grid.index[:: max(1, len(grid) // 8)])
            ax.set_title(f"{theme.model_label(model)}, {theme.method_label(method)}", fontsize=8.5)
            ax.tick_params(labelsize=7)
            if row == len(models) - 1:
                ax.set_xlabel("head", fontsize=8)
        axes[row, 0].set_ylabel("block", fontsize=8)
    bar = figure.colorbar(ScalarMappable(norm, "Blues"), ax=axes, shrink=0.8, aspect=30)
    bar.set_label("share of top tokens in the word list", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    return figure


def plot_attention_maps(maps: pd.DataFrame) -> Figure:
    """Attention weights of the top heads of each model without and with steering, and their difference; rows name the method.

    Args:
        maps: the table `attention_maps`.
    """
    shown = pd.concat([_maps_of_one_prompt(rows) for _, rows in maps.groupby("model", sort=False)])
    pairs = [tuple(pair) for pair in shown[["model", "node"]].drop_duplicates().to_numpy()]
    figure = Figure(figsize=(theme.WIDTH, 1.45 * len(pairs) + 0.8), layout="constrained")
    axes = figure.subplots(len(pairs), 3, squeeze=False)
    for row, (model, node) in enumerate(pairs):
        part = shown.loc[(shown["model"] == model) & (shown["node"] == node)]
        grids = {
            run: rows.pivot(index="query", columns="key", values="weight")
            for run, rows in part.groupby("run")
        }
        panels = {
            "without steering": (grids["base"], {"cmap": "Greys", "vmin": 0, "vmax": 1}),
            "with steering": (grids["steer"], {"cmap": "Greys", "vmin": 0, "vmax": 1}),
            "difference": (grids["steer"] - grids["base"], {"cmap": "RdBu", "vmin": -1, "vmax": 1}),
        }
        keys = part.drop_duplicates("key").set_index("key")["key_token"].sort_index()
        queries = part.drop_duplicates("query").set_index("query")["query_token"].sort_index()
        is_last_of_model = row + 1 == len(pairs) or pairs[row + 1][0] != model
        for column, (title, (grid, look)) in enumerate(panels.items()):
            ax = axes[row, column]
            draw_cells(ax, grid, **look)
            names = [visible(token) for token in keys] if is_last_of_model else []
            ax.set_xticks(range(len(names)), names, rotation=90, fontsize=4.2, parse_math=False)
            names = [visible(token) for token in queries] if column == 0 else []
            ax.set_yticks(range(len(names)), names, fontsize=5, parse_math=False)
            ax.set_title(title if row == 0 else "", fontsize=9)
            ax.tick_params(length=1)
        method = theme.method_label(part["method"].iloc[0])
        axes[row, 0].set_ylabel(f"{theme.model_label(model)}\n{method}, {node}", fontsize=7.5)
    return figure


def _maps_of_one_prompt(maps: pd.DataFrame) -> pd.DataFrame:
    """A model's maps of DIM on its first harmful prompt, or, without any, of the first method and prompt that there are."""
    of_dim = maps.loc[(maps["method"] == "dim") & (maps["label"] == "harmful")]
    chosen = of_dim if len(of_dim) else maps
    first = chosen.iloc[0]
    return chosen.loc[(chosen["prompt_id"] == first["prompt_id"]) & (chosen["method"] == first["method"])]


def draw_cells(ax: Axes, grid: pd.DataFrame, **look: Any) -> None:
    """A heat map whose first row is at the top, as cells rather than as a picture."""
    n_rows, n_columns = grid.shape
    ax.pcolormesh(range(n_columns), range(n_rows), grid.to_numpy(), shading="nearest", **look)
    ax.set_xlim(-0.5, n_columns - 0.5)
    ax.set_ylim(n_rows - 0.5, -0.5)


def table_tokens(tokens: pd.DataFrame) -> Markup:
    """Figures 5 and 12: what the vector, its value vectors and their sum promote and suppress."""
    header = ["method", "direction", "promotes", "suppresses"]
    rows, groups = [], []
    for (model, method, source), part in tokens.groupby(["model", "method", "source"], sort=False):
        by_sign = {sign: rows_.sort_values("rank") for sign, rows_ in part.groupby("sign")}
        rows.append(
            [
                Cell(theme.method_label(str(method))),
                Cell(SOURCE_LABELS.get(str(source), str(source))),
                *(_token_cell(by_sign[sign]) for sign in (1, -1)),
            ]
        )
        groups.append(theme.model_label(str(model)))
    return html_table(header, rows, groups=groups, kind="words")


def table_concepts(concepts: pd.DataFrame) -> Markup:
    """Concept scores of the vector, of the heads' value vectors together, and of their sum."""
    header = [
        "method",
        "direction",
        "promoted tokens\nin the word list",
        "suppressed tokens\nin the word list",
        "chance",
    ]
    rows, groups = [], []
    for (model, method), part in concepts.groupby(["model", "method"], sort=False):
        for name, scores in (
            ("the vector itself", part.loc[part["source"] == "vector"]),
            ("value vectors of all heads", part.loc[part["head"] >= 0]),
            ("sum of all value vectors", part.loc[part["source"] == "sum"]),
        ):
            sums = scores.groupby("sign")[["n_words", "n_tokens"]].sum()
            cells = [_words_cell(sums.loc[sign], scores.loc[scores["sign"] == sign]) for sign in (1, -1)]
            chance = float(scores["chance"].iloc[0])
            rows.append(
                [
                    Cell(theme.method_label(str(method))),
                    Cell(name),
                    *cells,
                    Cell(percent(chance), value=chance),
                ]
            )
            groups.append(theme.model_label(str(model)))
    return html_table(header, rows, groups=groups, kind="numbers")


def table_mlps(nodes: pd.DataFrame) -> Markup:
    """Attention and MLP of each block: indirect effect, its direct part, and what the vector's direct term explains."""
    shown = nodes.loc[nodes["kind"] != "attn_head"]
    methods = theme.methods_in(shown)
    rows, groups = [], []
    for (model, block, kind), part in shown.groupby(["model", "block", "kind"], sort=False):
        of_method = part.set_index("method")
        name = f"{'attention' if kind == 'attn' else 'MLP'} {block}"
        rows.append([Cell(name), *(_effect_cell(of_method, method) for method in methods)])
        groups.append(theme.model_label(str(model)))
    header = ["indirect effect", *map(theme.method_label, methods)]
    return html_table(header, rows, groups=groups, kind="numbers")


def _effect_cell(rows: pd.DataFrame, method: str) -> Cell:
    if method not in rows.index:
        return Cell("")
    row = rows.loc[method]
    straight = f"{signed(round(row['ie_direct'], 2))} straight to the logits"
    explained = f"direct term: size {row['norm_share']:.2f}, cosine {row['cosine']:.2f}"
    return Cell(signed(round(row["ie"], 2)), note=f"{straight}; {explained}", value=row["ie"])


def table_neurons(neurons: pd.DataFrame) -> Markup:
    """Neurons with the largest indirect effects, and the tokens that they write."""
    header = ["method", "neuron", "indirect effect", "share of all", "promotes", "suppresses"]
    rows, groups = [], []
    for row in neurons.loc[neurons["rank"] <= 10].to_dict("records"):
        rows.append(
            [
                Cell(theme.method_label(row["method"])),
                Cell(f"m{row['block']}.n{row['neuron']}"),
                Cell(signed(round(row["ie"], 3)), value=row["ie"]),
                Cell(percent(row["share"]), value=row["share"]),
                Cell(row["promotes"]),
                Cell(row["suppresses"]),
            ]
        )
        groups.append(theme.model_label(row["model"]))
    return html_table(header, rows, groups=groups, kind="words")


def _token_cell(tokens: pd.DataFrame) -> Cell:
    words = [
        word(token) + ("*" if known else "")
        for token, known in zip(tokens["token"], tokens["in_words"], strict=True)
    ]
    return Cell(", ".join(words), note=f"{int(tokens['in_words'].sum())} of {len(tokens)} in the word list")


def _words_cell(sums: pd.Series, rows: pd.DataFrame) -> Cell:
    share = sums["n_words"] / sums["n_tokens"]
    note = f"{int(sums['n_words'])} of {int(sums['n_tokens'])}"
    if len(rows) == 1:
        note += f", p = {rows['p_value'].iloc[0]:.2g}"
    return Cell(percent(share), note=note, value=share)
