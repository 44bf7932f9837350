"""Which prompts are the same words to a reader."""

import pytest

from steering_study.prompts.words import normalise_text


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("Don't stop.", "don\u2019t  STOP"),
        ("Don't stop.", "dont stop!"),
        ("step-by-step", "step by step"),
        ("Say \u201chello\u201d", 'say "hello"'),
        ("caf\u00e9", "cafe\u0301"),
        ("\ufb01nd it\u2026", "find it"),
        ("a\nb\tc", "a b c"),
        ("3+4", "3 + 4"),
        ("don\u00b4t", "don't"),
        ("bake\u200b bread", "bake bread"),  # zero-width space
        ("ba\u2060ke", "bake"),  # word joiner
        ("ba\u00adke", "bake"),  # soft hyphen
        ("\u202ebake\u202c", "bake"),  # marks of direction
        ("ba\u034fke\ufe0f", "bake"),  # joiner of graphemes, selector of a variant
        ("b\U000e0061ake", "bake"),  # a tag
        ("ba\x00ke\x7f", "bake"),
        ("e\u200b\u0301t\u00e9", "\u00e9t\u00e9"),  # what an invisible sign kept apart is one letter
        ("bake\u00a0bread", "bake bread"),  # spaces that look like spaces
        ("bake\u2003bread", "bake bread"),
        ("bake\u2800bread", "bake bread"),
        ("bake\u3164 bread", "bake bread"),  # a filler
        ("\uff42\uff41\uff4b\uff45", "bake"),  # full width
        ("STRASSE", "stra\u00dfe"),
    ],
)
def test_same_words_are_equal(left, right):
    assert normalise_text(left) == normalise_text(right)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("What is 3 + 4?", "What is 3 - 4?"),
        ("3.5 kg", "35 kg"),
        ("in C++", "in C"),
        ("in C#", "in C"),
        ("a b", "ab"),
        ("?", "!"),
        ("\u0431\u0430\u043a", "6ak"),  # letters of another script are other letters, though they look alike
    ],
)
def test_different_words_differ(left, right):
    assert normalise_text(left) != normalise_text(right)
