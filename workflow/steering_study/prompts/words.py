"""When two prompts are the same words to a reader."""

from __future__ import annotations

import re
import unicodedata

from steering_study.plain_text import APOSTROPHES, visible_text

_BETWEEN_DIGITS = re.compile(r"(?<=\d)\s*([^\w\s])\s*(?=\d)")


def normalise_text(text: str) -> str:
    """Spell a prompt so that prompts in which a reader sees the same words are equal.

    Case, punctuation, apostrophes, spacing, Unicode compatibility forms and signs that show nothing go. A sign between two
    digits is spelled out, so that "3 + 4" and "3 - 4" stay two prompts; # and % stay for C# and percentages. A text of
    nothing but punctuation is compared as it shows.
    """
    plain = unicodedata.normalize("NFKC", visible_text(APOSTROPHES.sub("", text)).casefold())
    plain = _BETWEEN_DIGITS.sub(lambda sign: f" {unicodedata.name(sign[1], '')} ".casefold(), plain)
    return " ".join("".join(" " if _is_dropped(char) else char for char in plain).split()) or visible_text(
        text
    )


def _is_dropped(char: str) -> bool:
    return unicodedata.category(char).startswith("P") and char not in "#%"
