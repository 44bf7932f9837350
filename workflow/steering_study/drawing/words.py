"""Numbers as the report prints them."""

from __future__ import annotations

from collections.abc import Iterable

NARROW = "\N{NO-BREAK SPACE}"


def percent(share: float) -> str:
    """A share of 1 in percent, one decimal where it has one: 97 %, 1.3 %."""
    return f"{_trimmed(100 * share)}{NARROW}%"


def rate(share: float, low: float, high: float) -> str:
    """A share with its interval, both in percent: 97 % [93, 99]."""
    return f"{percent(share)} [{100 * low:.0f},{NARROW}{100 * high:.0f}]"


def signed(value: float) -> str:
    """A number with its sign and a true minus: +1.4, −0.7, 0."""
    return f"{value:+.4g}".replace("-", "\N{MINUS SIGN}") if value else "0"


def span(counts: Iterable[int]) -> str:
    """One count, or the least and the greatest where they differ: 100, 98 to 100."""
    values = sorted(counts)
    return str(values[0]) if values[0] == values[-1] else f"{values[0]} to {values[-1]}"


def listing(parts: Iterable[str]) -> str:
    """Words in a row: a, b and c."""
    words = list(parts)
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def duration(seconds: float) -> str:
    """Seconds in the unit that fits: 3.4 s, 58 s, 12.5 min, 2.1 h."""
    if seconds < 100:
        return f"{seconds:.{1 if seconds < 10 else 0}f}{NARROW}s"
    if seconds < 6000:
        return f"{seconds / 60:.1f}{NARROW}min"
    return f"{seconds / 3600:.1f}{NARROW}h"


def visible(token: str) -> str:
    """A token with its white space shown."""
    shown = token.replace("Ċ", "\n").replace("Ġ", " ").replace("▁", " ").replace("\n", "↵").replace(" ", "␣")
    return shown or "empty"


def word(token: str) -> str:
    """A token as a word: without the space in front of it, which most have."""
    return token.strip() or visible(token)


def _trimmed(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
