"""Tables of the report as HTML: every text escaped, every number with the value it was printed from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
from markupsafe import Markup

from steering_study.conditions import TARGET
from steering_study.figures import theme
from steering_study.figures.judge_words import error_words
from steering_study.figures.words import percent, rate, signed

LEFT = "text-align: left"  # in the cell itself, because notebook pages turn all cells to the right
BELOW = "display: block"  # idem: they would set notes in the line


@dataclass(frozen=True)
class Cell:
    """One cell of a table.

    Attributes:
        text: what it shows.
        note: a second, smaller line.
        value: the number behind the text, kept in the page as `data-value` for sorting.
        kind: CSS class.
        badge: a word or two that stand out, between text and note.
        href: where the text leads.
        links: words below the note and where they lead; nowhere if that is empty.
    """

    text: str
    note: str = ""
    value: float | None = None
    kind: str = ""
    badge: str = ""
    href: str = ""
    links: tuple[tuple[str, str], ...] = ()


def html_table(
    header: Sequence[str], rows: Sequence[Sequence[Cell]], *, groups: Sequence[str] = (), kind: str = ""
) -> Markup:
    """A table as HTML.

    Args:
        groups: what each row belongs to; a line above the first row of a group names it; what follows a line break is set small.
        kind: CSS class of the table.

    Raises:
        ValueError: if a row is not as long as the header.
    """
    body, group = [], ""
    for row, of_group in zip(rows, groups or [""] * len(rows), strict=True):
        if len(row) != len(header):
            raise ValueError(f"a row of {len(row)} cells under a header of {len(header)}: {row[0].text!r}")
        if of_group != group:
            group = of_group
            title = Markup('<tr class="group"><th scope="rowgroup" colspan="{}" style="{}">{}</th></tr>')
            body.append(title.format(len(header), LEFT, _lines(group)))
        cells = Markup().join(_cell(cell, label) for cell, label in zip(row, header, strict=True))
        body.append(Markup("<tr>{}</tr>").format(cells))
    head = Markup().join(
        Markup('<th scope="col" style="{}">{}</th>').format(LEFT, _lines(each)) for each in header
    )
    frame = Markup('<table class="{}">\n<thead><tr>{}</tr></thead>\n<tbody>\n{}\n</tbody>\n</table>')
    return frame.format(kind, head, Markup("\n").join(body))


def table_asr(asr: pd.DataFrame, published: pd.DataFrame, judge_errors: pd.DataFrame) -> Markup:
    """Table 2: attack success rate per dataset and method, each model of ours beside the published ones.

    The line above a dataset repeats the error of its judge.
    """
    models = theme.models_in(asr)
    printed = theme.in_order(published["published_model"], theme.MODEL_LABELS)
    header = ["", *(f"{theme.model_label(model)}\nthis run" for model in models)]
    header += [f"{theme.model_label(name)}\npublished" for name in printed]
    rows, groups = [], []
    for dataset in theme.datasets_in(asr):
        (judge,) = asr.loc[asr["dataset"] == dataset, "judge"].unique()
        error = error_words(judge_errors, judge, TARGET[theme.condition_of(asr, dataset)])
        for method in theme.methods_in(asr.loc[asr["dataset"] == dataset]):
            here = asr.loc[(asr["dataset"] == dataset) & (asr["method"] == method)].set_index("model")
            there = published.loc[(published["dataset"] == dataset) & (published["method"] == method)]
            there = there.drop_duplicates("published_model").set_index("published_model")
            ours = [_asr_cell(here, model) for model in models]
            theirs = [_published_cell(there, name) for name in printed]
            rows.append([Cell(theme.method_label(method)), *ours, *theirs])
            groups.append(f"{theme.dataset_label(dataset)} prompts, {theme.goal_of(asr, dataset)}\n{error}")
    return html_table(header, rows, groups=groups, kind="numbers")


def table_flips(flips: pd.DataFrame) -> Markup:
    """Share of test prompts that steering flips, per model, method and dataset."""
    header = ["method", "prompts", "coefficient", "flipped", "degenerate", "n"]
    rows = [
        [
            Cell(theme.method_label(row["method"])),
            Cell(theme.dataset_label(row["dataset"])),
            Cell(signed(row["coefficient"]), value=row["coefficient"]),
            Cell(rate(row["flip_rate"], row["flip_low"], row["flip_high"]), value=row["flip_rate"]),
            Cell(percent(row["degenerate_rate"]), value=row["degenerate_rate"]),
            Cell(str(row["n"]), value=float(row["n"])),
        ]
        for row in flips.to_dict("records")
    ]
    groups = [theme.model_label(model) for model in flips["model"]]
    return html_table(header, rows, groups=groups, kind="numbers")


def table_endings(endings: pd.DataFrame) -> Markup:
    """How texts end: by themselves, or cut at the most tokens allowed or the end of the model's context."""
    header = ["texts", "n", "end by themselves", "are cut", "tokens, mean", "tokens, most"]
    rows = [
        [
            Cell(
                "unsteered"
                if row["condition"] == "base"
                else f"DIM, {theme.CONDITION_LABELS[row['condition']]}"
            ),
            Cell(str(row["n"]), value=float(row["n"])),
            *(
                Cell(percent(row[name] / row["n"]), note=str(row[name]), value=row[name] / row["n"])
                for name in ("finished", "cut")
            ),
            Cell(f"{row['mean_tokens']:.0f}", value=row["mean_tokens"]),
            Cell(str(row["most_tokens"]), value=float(row["most_tokens"])),
        ]
        for row in endings.to_dict("records")
    ]
    return html_table(
        header, rows, groups=[theme.model_label(model) for model in endings["model"]], kind="numbers"
    )


def table_examples(examples: pd.DataFrame) -> Markup:
    """Figure 1: the same prompts answered without and with steering, and what the judge said of both."""
    header = ["prompt", "without steering", "with DIM"]
    rows, groups = [], []
    for row in examples.to_dict("records"):
        verdict = row["steered_verdict"] if row["flipped"] else f"{row['steered_verdict']}; not flipped"
        rows.append(
            [
                Cell(row["prompt"], note=row["prompt_id"]),
                Cell(row["base"], note=row["base_verdict"]),
                Cell(row["steered"], note=verdict, kind="" if row["flipped"] else "unflipped"),
            ]
        )
        groups.append(
            f"{theme.model_label(row['model'])}, {theme.dataset_label(row['dataset'])} prompts, "
            f"coefficient {signed(row['coefficient'])}"
        )
    return html_table(header, rows, groups=groups, kind="examples")


def table_pairs(pairs: pd.DataFrame) -> Markup:
    """Contrast pairs of each model: how many were kept, and why the others were dropped."""
    header = ["prompts", "desired response", "outcome", "training", "validation"]
    rows, groups = [], []
    for (model, label, origin, reason), part in pairs.groupby(
        ["model", "label", "origin", "reason"], sort=True
    ):
        n_validation = part.loc[part["split"] == "validation", "n"].sum()
        n_training = part["n"].sum() - n_validation
        rows.append(
            [
                Cell(str(label)),
                Cell(_ORIGINS[str(origin)]),
                Cell(f"dropped: {reason}" if reason else "kept"),
                Cell(str(n_training), value=float(n_training)),
                Cell(str(n_validation), value=float(n_validation)),
            ]
        )
        groups.append(theme.model_label(str(model)))
    return html_table(header, rows, groups=groups, kind="numbers")


def table_trials(trials: pd.DataFrame) -> Markup:
    """Every trial of the search of each learned method."""
    header = [
        "method",
        "learning rate",
        "batch",
        "seed",
        "φ",
        "validation loss\nnats",
        "match score",
        "norm",
        "β\nmedian",
        "",
    ]
    rows, groups = [], []
    for row in trials.to_dict("records"):
        rows.append(
            [
                Cell(theme.method_label(row["method"])),
                Cell(f"{row['learning_rate']:g}", value=row["learning_rate"]),
                Cell(str(row["batch_size"]), value=float(row["batch_size"])),
                Cell(str(row["seed"]), value=float(row["seed"])),
                _optional(row["phi"], "g"),
                Cell(f"{row['validation_loss']:.4g}", value=row["validation_loss"]),
                Cell(percent(row["match_score"]), value=row["match_score"]),
                Cell(f"{row['norm']:.3g}", value=row["norm"]),
                _optional(row["beta_q50"], ".3g"),
                Cell("selected" if row["selected"] else ""),
            ]
        )
        groups.append(theme.model_label(row["model"]))
    return html_table(header, rows, groups=groups, kind="numbers")


def table_grid(grid: pd.DataFrame, published: pd.DataFrame) -> Markup:
    """Table 4: values that the search tried, the selected one of each model, and the published values."""
    models = theme.models_in(grid)
    header = ["setting", "tried here", *(f"{theme.model_label(model)}\nselected" for model in models)]
    header += ["published"]
    rows, groups = [], []
    for method in theme.methods_in(pd.concat([grid[["method"]], published[["method"]]])):
        for setting, label in _SETTINGS.items():
            here, there = (
                frame.loc[(frame["method"] == method) & (frame["setting"] == setting)]
                for frame in (grid, published)
            )
            if here.empty and there.empty:
                continue
            chosen = here.loc[here["is_chosen"]]
            rows.append(
                [
                    Cell(label),
                    _values_cell(here["tried"]),
                    *(_values_cell(chosen.loc[chosen["model"] == model, "tried"]) for model in models),
                    _values_cell(there["tried"], kind="published"),
                ]
            )
            groups.append(theme.method_label(method))
    return html_table(header, rows, groups=groups, kind="numbers")


def table_side_effects(side_effects: pd.DataFrame) -> Markup:
    """Side effects of each method at its own coefficient and at the matched flip rate."""
    header = [
        "method",
        "direction",
        "at",
        "coefficient",
        "flipped",
        "KL\nnats a token",
        "perplexity",
        "degenerate",
    ]
    rows, groups = [], []
    for row in side_effects.to_dict("records"):
        for at, shown in (("its own coefficient", row["selected"]), ("matched flip rate", row["matched"])):
            if not shown:
                continue
            kl_interval = f"[{row['kl_low']:.2g}, {row['kl_high']:.2g}]"
            before = f"unsteered {row['base_perplexity']:.3g}"
            rows.append(
                [
                    Cell(theme.method_label(row["method"])),
                    Cell(row["condition"]),
                    Cell(at),
                    Cell(signed(row["coefficient"]), value=row["coefficient"]),
                    Cell(rate(row["flip_rate"], row["flip_low"], row["flip_high"]), value=row["flip_rate"]),
                    Cell(f"{row['kl_nats']:.2g}", note=kl_interval, value=row["kl_nats"]),
                    Cell(f"{row['perplexity']:.3g}", note=before, value=row["perplexity"]),
                    Cell(percent(row["degenerate_rate"]), value=row["degenerate_rate"]),
                ]
            )
            groups.append(theme.model_label(row["model"]))
    return html_table(header, rows, groups=groups, kind="numbers")


def table_bystanders(bystanders: pd.DataFrame) -> Markup:
    """How harmless prompts are answered under bypass, beside the unsteered model."""
    header = ["method", "prompts", "coefficient", "refused", "in a loop", "degenerate", "n"]
    rows, groups = [], []
    for row in bystanders.to_dict("records"):
        refused = rate(row["refused_rate"], row["refused_low"], row["refused_high"])
        rows.append(
            [
                Cell(theme.method_label(row["method"])),
                Cell(theme.dataset_label(row["dataset"])),
                Cell(signed(row["coefficient"]), value=row["coefficient"]),
                Cell(refused, note=_unsteered(row["base_refused_rate"]), value=row["refused_rate"]),
                Cell(
                    percent(row["looping_rate"]),
                    note=_unsteered(row["base_looping_rate"]),
                    value=row["looping_rate"],
                ),
                Cell(
                    percent(row["degenerate_rate"]),
                    note=_unsteered(row["base_degenerate_rate"]),
                    value=row["degenerate_rate"],
                ),
                Cell(str(row["n"]), value=float(row["n"])),
            ]
        )
        groups.append(theme.model_label(row["model"]))
    return html_table(header, rows, groups=groups, kind="numbers")


_SETTINGS = {
    "learning_rate": "learning rate",
    "batch_size": "batch",
    "epochs": "epochs",
    "seed": "seed",
    "phi": "φ",
}
_ORIGINS = {"asked": "asked for in the prompt", "steered": "brought about by DIM"}


def _values_cell(values: pd.Series, *, kind: str = "") -> Cell:
    """Distinct numbers in rising order."""
    distinct = sorted(set(values))
    return Cell(", ".join(f"{value:.8f}".rstrip("0").rstrip(".") for value in distinct) or "–", kind=kind)


def _unsteered(share: float) -> str:
    return f"unsteered {percent(share)}"


def _optional(value: float, form: str) -> Cell:
    """A number that some methods do not have."""
    return Cell("–") if pd.isna(value) else Cell(f"{value:{form}}", value=value)


def _asr_cell(here: pd.DataFrame, model: str) -> Cell:
    if model not in here.index:
        return Cell("–")
    row = here.loc[model]
    note = f"n = {row['n']}, {percent(row['degenerate_rate'])} degenerate"
    return Cell(rate(row["asr"], row["asr_low"], row["asr_high"]), note=note, value=row["asr"])


def _published_cell(there: pd.DataFrame, name: str) -> Cell:
    if name not in there.index:
        return Cell("–", kind="published")
    row = there.loc[name]
    note = theme.dataset_label(row["published_dataset"])
    return Cell(percent(row["asr"]), note=note, value=row["asr"], kind="published")


def _cell(cell: Cell, label: str) -> Markup:
    value = "" if cell.value is None else Markup(' data-value="{}"').format(f"{cell.value:.6g}")
    kind = Markup(' class="{}"').format(cell.kind) if cell.kind else ""
    badge = Markup('<span class="badge">{}</span>').format(cell.badge) if cell.badge else Markup()
    links = Markup(" · ").join(_link(words, href) for words, href in cell.links)
    notes = (
        Markup('<small style="{}">{}</small>').format(BELOW, each) for each in (cell.note, links) if each
    )
    below = badge + Markup().join(notes)
    return Markup('<td style="{}" data-label="{}"{}{}><div>{}</div>{}</td>').format(
        LEFT, label.replace("\n", ", "), kind, value, _link(cell.text, cell.href), below
    )


def _link(words: str, href: str) -> Markup:
    return Markup('<a href="{}">{}</a>').format(href, words) if href else Markup("{}").format(words)


def _lines(text: str) -> Markup:
    name, *rest = text.split("\n")
    return Markup("{}").format(name) + Markup().join(
        Markup("<br><small>{}</small>").format(line) for line in rest
    )
