"""Tables of the page on the run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from markupsafe import Markup

from steering_study.drawing.html import Cell, html_table
from steering_study.drawing.theme import model_label
from steering_study.drawing.words import duration, visible

SHORT = 12  # characters of a digest

CARD_ROWS = {
    "architecture": "architecture",
    "source": "source",
    "revision": "revision",
    "dtype": "precision",
    "n_layers": "blocks",
    "d_model": "d_model",
    "n_heads": "heads",
    "n_kv_heads": "key-value heads",
    "d_head": "d_head",
    "d_mlp": "d_mlp",
    "d_vocab": "vocabulary",
    "context": "context",
    "end_of_turn_ids": "end-of-turn ids",
    "post_instruction_tokens": "post-instruction tokens",
    "post_instruction_ids": "their ids",
    "template": "variables of the chat template",
    "template_sha256": "sha256 of the chat template",
    "control_tokens": "control tokens",
    "gguf": "unpacked from",
}


MOST_TOKENS = 12  # that are listed


def table_cards(cards: Sequence[Mapping[str, Any]]) -> Markup:
    """Everything that the card of each model says, a column a model."""
    known = [*CARD_ROWS, *(key for card in cards for key in card if key != "name" and key not in CARD_ROWS)]
    rows = [
        [Cell(CARD_ROWS.get(key, key)), *(Cell(_listed(key, card.get(key, ""))) for card in cards)]
        for key in dict.fromkeys(known)
    ]
    return html_table(["", *(model_label(card["name"]) for card in cards)], rows, kind="numbers cards")


def table_rule_times(times: pd.DataFrame) -> Markup:
    """Jobs, time and memory of each rule."""
    header = ["rule", "part", "jobs", "all jobs", "mean", "longest", "CPU", "peak memory"]
    rows = [
        [
            Cell(row["rule"]),
            Cell(row["part"]),
            Cell(
                str(row["jobs"]),
                note="" if row["measured"] == row["jobs"] else f"{row['measured']} measured",
                value=float(row["jobs"]),
            ),
            _time(row["total_seconds"] if row["measured"] else math.nan),
            _time(row["mean_seconds"]),
            _time(row["longest_seconds"]),
            _time(row["cpu_seconds"] if row["measured"] else math.nan),
            _amount(row["max_rss_mib"], "MiB"),
        ]
        for row in times.to_dict("records")
    ]
    return html_table(header, rows, kind="numbers sortable")


def table_spread(spread: Mapping[int, float], total: float) -> Markup:
    """Wall time on some numbers of cores."""
    rows = [
        [
            Cell(str(cores), value=float(cores)),
            _time(seconds),
            Cell(f"{total / seconds:.1f} ×" if seconds else ""),
        ]
        for cores, seconds in spread.items()
    ]
    return html_table(["cores", "wall time", "faster than one"], rows, kind="numbers")


def table_files(files: pd.DataFrame, hrefs: Mapping[str, str]) -> Markup:
    """Every file with what made it.

    Args:
        hrefs: where each path lies, seen from the page.
    """
    header = ["file", "rule", "known from", "code", "seed", "model", "inputs", "holds", "bytes", "sha256"]
    rows = [
        [
            Cell(row["path"], href=hrefs[row["path"]]),
            Cell(row["rule"]),
            Cell(row["known_from"]),
            Cell(row["code"][:SHORT] or "–"),
            Cell(row["seed"] or "–"),
            Cell(row["revision"][:SHORT] or "–"),
            _inputs(row),
            Cell(f"{row['count']} {row['unit']}" if row["count"] >= 0 else "–", value=float(row["count"])),
            Cell(f"{row['bytes']:,}".replace(",", "\N{NARROW NO-BREAK SPACE}"), value=float(row["bytes"])),
            Cell(row["sha256"][:SHORT]),
        ]
        for row in files.to_dict("records")
    ]
    return html_table(header, rows, kind="numbers sortable files")


def _inputs(row: Mapping[str, Any]) -> Cell:
    if not row["inputs"]:
        return Cell("–", value=-1.0)
    badge = f"{row['changed']} changed" if row["changed"] else ""
    return Cell(str(row["inputs"]), badge=badge, value=float(row["inputs"]))


def _time(seconds: float) -> Cell:
    return Cell("–", value=-1.0) if math.isnan(seconds) else Cell(duration(seconds), value=float(seconds))


def _amount(value: float, unit: str) -> Cell:
    return Cell("–", value=-1.0) if math.isnan(value) else Cell(f"{value:.0f} {unit}", value=float(value))


def _listed(key: str, value: Any) -> str:
    """A value of a card in words; white space of tokens is shown."""
    parts = value if isinstance(value, list) else [value]
    if key == "control_tokens" and len(parts) > MOST_TOKENS:  # a vocabulary may reserve hundreds
        parts = [*parts[:MOST_TOKENS], f"and {len(parts) - MOST_TOKENS} more"]
    if isinstance(value, dict):
        parts = [f"{name}: {each}" for name, each in value.items()]
    return "  ".join(map(visible, parts)) if key.endswith("_tokens") else ", ".join(map(str, parts))
