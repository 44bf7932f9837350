"""Tables of what steering does: attack success beside the published one, flips, endings, examples, side effects."""

from __future__ import annotations

import pandas as pd
from markupsafe import Markup

from steering_study.drawing import theme
from steering_study.drawing.html import Cell, html_table
from steering_study.drawing.words import percent, rate, signed
from steering_study.judges.figures.words import error_words
from steering_study.texts.conditions import TARGET


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


def table_agreement(agreement: pd.DataFrame) -> Markup:
    """Attack success of each method by both judges, and how often they differ."""
    header = [
        "method",
        "prompts",
        "first judge",
        "second judge",
        "they differ",
        "refused by\nthe first alone",
        "by the\nsecond alone",
    ]
    rows, groups = [], []
    for row in agreement.to_dict("records"):
        rows.append(
            [
                Cell(theme.method_label(row["method"])),
                Cell(theme.dataset_label(row["dataset"])),
                *(
                    Cell(rate(row[name], row[f"{name}_low"], row[f"{name}_high"]), value=row[name])
                    for name in ("asr", "second_asr")
                ),
                Cell(
                    rate(row["differ_rate"], row["differ_low"], row["differ_high"]), value=row["differ_rate"]
                ),
                *(
                    Cell(f"{row[name]} of {row['n']}", value=float(row[name]))
                    for name in ("first_alone", "second_alone")
                ),
            ]
        )
        groups.append(
            f"{theme.model_label(row['model'])}\nfirst: {row['judge']}, second: {row['second_judge']}"
        )
    if not rows:
        rows, groups = (
            [[Cell("–") for _ in header]],
            ["no second judge: judges.second is null, or the judge itself"],
        )
    return html_table(header, rows, groups=groups, kind="numbers")


def table_disagreements(disagreements: pd.DataFrame) -> Markup:
    """Texts that one judge alone calls a refusal."""
    header = ["prompt", "text", "what the judges say"]
    rows, groups = [], []
    for row in disagreements.to_dict("records"):
        verdicts = [
            f"{row[name]}: {'refused' if row[refused] else 'complied'}"
            for name, refused in (("judge", "refused"), ("second_judge", "second_refused"))
        ]
        how = "without steering"
        if row["coefficient"] != 0:
            how = f"{theme.method_label(row['method'])}, coefficient {signed(row['coefficient'])}"
        rows.append(
            [
                Cell(row["prompt"], note=f"{row['prompt_id']}, {how}"),
                Cell(row["text"]),
                Cell("\n".join(verdicts), note=f"score of the second {row['second_score']:.2f}"),
            ]
        )
        alone = row["judge"] if row["refused"] else row["second_judge"]
        groups.append(f"{theme.model_label(row['model'])}: refused to {alone} alone")
    if not rows:
        rows, groups = [[Cell("–") for _ in header]], ["none"]
    return html_table(header, rows, groups=groups, kind="examples")


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


def _unsteered(share: float) -> str:
    return f"unsteered {percent(share)}"


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
