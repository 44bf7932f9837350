"""Sparse vectors in numbers: rates at every sparsity, how long the effect lasts, and what shared dimensions do."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
from markupsafe import Markup

from steering_study.attention.figures.value_vectors import table_tokens
from steering_study.drawing import theme
from steering_study.drawing.html import Cell, html_table
from steering_study.drawing.words import NARROW, percent, rate
from steering_study.sparsity.figures.plots import CRITERION_LABELS, criterion_label

MAIN_SETS = "main sets"  # their mean, as a dataset of the table `retention`
MEAN = "mean"  # over the published models, as one of them
PART_LABELS = {"shared": "shared alone", "unshared": "all others"}


def table_retention(retention: pd.DataFrame, published: pd.DataFrame) -> Markup:
    """How long each criterion keeps the effect of the dense vector, beside the published curves read in the same way."""
    shown = retention.loc[retention["dataset"] == MAIN_SETS]
    models = theme.models_in(shown)
    header = ["criterion"]
    for model in models:
        header += [
            f"{theme.model_label(model)}\narea under retention",
            f"{theme.model_label(model)}\nlargest sparsity",
        ]
    header += ["published\narea under retention", "published\nlargest sparsity"]
    rows, groups = [], []
    for method in theme.methods_in(shown):
        for name in theme.in_order(shown["criterion"], CRITERION_LABELS):
            here = shown.loc[(shown["method"] == method) & (shown["criterion"] == name)].set_index("model")
            at = (published["method"] == method) & (published["criterion"] == name)
            there = published.loc[at].set_index("published_model")
            cells = [cell for model in models for cell in _retention_cells(here, model)]
            rows.append([Cell(criterion_label(name)), *cells, *_published_retention_cells(there)])
            groups.append(theme.method_label(method))
    return html_table(header, rows, groups=groups, kind="numbers")


def table_sparsity(curves: pd.DataFrame) -> Markup:
    """Tables 10 and 11: attack success of every method on every test set, by sparsity and criterion."""
    places = [
        "dense" if row["criterion"] == "none" else _place(row["target_percent"], row["threshold"])
        for row in curves.to_dict("records")
    ]
    return _rates(curves.assign(place=places), "model", _rate_cell)


def table_published_sparsity(published: pd.DataFrame) -> Markup:
    """Tables 10 and 11 as printed, laid out as ours."""
    places = [
        "dense" if threshold == 0 else _place(float("nan"), threshold) for threshold in published["threshold"]
    ]
    shown = published.assign(place=places, dataset=published["published_dataset"])
    return _rates(shown, "published_model", _printed_cell)


def table_shared(shared: pd.DataFrame, rates: pd.DataFrame) -> Markup:
    """Dimensions that every method keeps, beside chance, and what they do alone or left out."""
    datasets = theme.datasets_in(rates)
    header = ["set to zero\nby each method", "kept by every method", "method"]
    for dataset in datasets:
        label = f"{theme.dataset_label(dataset)} prompts"
        header += [f"dense\n{label}", *(f"{words}\n{label}" for words in PART_LABELS.values())]
    rows, groups = [], []
    for sizes in shared.to_dict("records"):
        own = rates.loc[rates["model"] == sizes["model"]]
        for place, method in enumerate(theme.methods_in(own)):
            of_method = own.loc[own["method"] == method].set_index(["dataset", "part", "target_percent"])
            cells = [
                _part_cell(of_method, (dataset, part, 0.0 if part == "none" else sizes["target_percent"]))
                for dataset in datasets
                for part in ("none", *PART_LABELS)
            ]
            first = _size_cells(sizes) if place == 0 else [Cell(""), Cell("")]
            rows.append([*first, Cell(theme.method_label(method)), *cells])
            groups.append(theme.model_label(sizes["model"]))
    return html_table(header, rows, groups=groups, kind="numbers")


def table_shared_tokens(tokens: pd.DataFrame) -> Markup:
    """What the vector, the dimensions that every method keeps and all others promote and suppress."""
    return table_tokens(tokens.assign(source=tokens["source"].map(_source_label)))


def _rates(frame: pd.DataFrame, column: str, cell: Callable[[pd.Series], Cell]) -> Markup:
    """A row a method, test set and sparsity, a column a model and criterion; the dense vector stands under each."""
    models = theme.in_order(frame[column], ())
    criteria = [name for name in CRITERION_LABELS if name in set(frame["criterion"])]
    header = [
        "set to zero",
        *(f"{theme.model_label(m)}\n{criterion_label(c)}" for m in models for c in criteria),
    ]
    rows, groups = [], []
    for method in theme.methods_in(frame):
        for dataset in theme.datasets_in(frame):
            part = frame.loc[(frame["method"] == method) & (frame["dataset"] == dataset)]
            order = part.groupby("place")["sparsity_percent"].mean().sort_values(kind="stable")
            for place in order.index:
                at = part.loc[part["place"] == place].set_index([column, "criterion"])
                found = [_cell_of(at, model, name, cell) for model in models for name in criteria]
                rows.append([_place_cell(str(place), at["sparsity_percent"]), *found])
                groups.append(f"{theme.method_label(method)}, {theme.dataset_label(dataset)} prompts")
    return html_table(header, rows, groups=groups, kind="numbers")


def _cell_of(rows: pd.DataFrame, model: str, criterion: str, cell: Callable[[pd.Series], Cell]) -> Cell:
    for name in (criterion, "none"):
        if (model, name) in rows.index:
            return cell(rows.loc[(model, name)])
    return Cell("–")


def _rate_cell(row: pd.Series) -> Cell:
    note = f"{percent(row['degenerate_rate'])} degenerate"
    return Cell(rate(row["asr"], row["asr_low"], row["asr_high"]), note=note, value=row["asr"])


def _printed_cell(row: pd.Series) -> Cell:
    return Cell(percent(row["asr"]), value=row["asr"], kind="published")


def _place(target_percent: float, threshold: float) -> str:
    """What a sparsity comes from: a share of the dimensions, or a threshold of the gradient."""
    return f"τ = {threshold:g}" if pd.isna(target_percent) else f"{target_percent:g}{NARROW}%"


def _place_cell(place: str, sparsity_percent: pd.Series) -> Cell:
    low, high = (f"{value:.1f}" for value in (sparsity_percent.min(), sparsity_percent.max()))
    actual = f"{low if low == high else f'{low} to {high}'}{NARROW}%"
    return Cell(place, note="" if place == "dense" else actual, value=sparsity_percent.mean())


def _retention_cells(rows: pd.DataFrame, model: str) -> list[Cell]:
    if model not in rows.index or pd.isna(rows.loc[model, "area"]):
        return [Cell("–"), Cell("–")]
    row = rows.loc[model]
    area = f"{row['area']:.2f} [{row['area_low']:.2f},{NARROW}{row['area_high']:.2f}]"
    largest = rate(row["largest_percent"] / 100, row["largest_low"] / 100, row["largest_high"] / 100)
    return [
        Cell(area, note=f"n = {row['n']}", value=row["area"]),
        Cell(largest, value=row["largest_percent"]),
    ]


def _published_retention_cells(rows: pd.DataFrame) -> list[Cell]:
    if MEAN not in rows.index:
        return [Cell("–", kind="published")] * 2
    own, mean = rows.drop(index=MEAN), rows.loc[MEAN]
    areas = ", ".join(f"{theme.model_label(str(name))} {value:.2f}" for name, value in own["area"].items())
    largest = ", ".join(
        f"{theme.model_label(str(name))} {percent(value / 100)}"
        for name, value in own["largest_percent"].items()
    )
    return [
        Cell(f"{mean['area']:.2f}", note=areas, value=mean["area"], kind="published"),
        Cell(
            percent(mean["largest_percent"] / 100),
            note=largest,
            value=mean["largest_percent"],
            kind="published",
        ),
    ]


def _size_cells(sizes: dict) -> list[Cell]:
    p_value = "p < 0.001" if sizes["p_value"] < 0.001 else f"p = {sizes['p_value']:.2g}"
    p_value = p_value.replace(" ", NARROW)
    return [
        Cell(f"{sizes['target_percent']:g}{NARROW}%", value=sizes["target_percent"]),
        Cell(
            f"{sizes['n_shared']} of {sizes['n_kept']}",
            note=f"{sizes['chance']:.1f} by chance, {p_value}",
            value=float(sizes["n_shared"]),
        ),
    ]


def _part_cell(rows: pd.DataFrame, key: tuple[str, str, float]) -> Cell:
    if key not in rows.index:
        return Cell("–")
    row = rows.loc[key]
    return Cell(
        rate(row["asr"], row["asr_low"], row["asr_high"]),
        note=f"{row['n_kept']} dimensions, {percent(row['degenerate_rate'])} degenerate",
        value=row["asr"],
    )


def _source_label(source: str) -> str:
    """`shared 50 %` in words."""
    part, _, share = source.partition(" ")
    words = {"shared": "shared dimensions", "unshared": "all other dimensions"}
    return f"{words[part]} at {share.replace(' ', NARROW)}" if part in words else source
