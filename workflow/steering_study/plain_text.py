"""What a reader sees of a text: one spelling of signs that look alike, and nothing of those that do not show."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

# Straight, curly, reversed, modifier, prime and full-width ones, and the accents that are typed in their place.
APOSTROPHES = re.compile("['\u2018\u2019\u201b\u02bc\u2032\uff07`\u00b4]")

# Default_Ignorable_Code_Point of Unicode's DerivedCoreProperties.txt: soft hyphen, joiners, marks of direction, fillers,
# selectors of variants, tags.
_IGNORABLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
# Control characters and annotation marks do not show either; white space among them does.
_UNSEEN = re.compile(f"[{_IGNORABLE}\u0000-\u0008\u000e-\u001b\u007f-\u0084\u0086-\u009f\ufff9-\ufffb]")
_BLANKS = re.compile(r"[\s\u2800]+")  # the empty pattern of Braille is a sign, and looks like a space


def visible_text(text: str) -> str:
    """A text as it shows: compatibility forms as one (NFKC), no sign that shows nothing, single spaces."""
    shown = unicodedata.normalize("NFKC", _UNSEEN.sub("", unicodedata.normalize("NFKC", text)))
    return _BLANKS.sub(" ", shown).strip()


def spells(text: str, control: Iterable[str]) -> bool:
    """Whether a text spells one of a model's control tokens."""
    return any(token in text for token in control)
