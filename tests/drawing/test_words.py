import pytest

from steering_study.drawing.words import duration, listing, percent, rate, signed, span, visible

GAP = "\N{NO-BREAK SPACE}"


@pytest.mark.parametrize(
    ("share", "words"), [(0.97, f"97{GAP}%"), (0.013, f"1.3{GAP}%"), (1.0, f"100{GAP}%"), (0.0, f"0{GAP}%")]
)
def test_shares_print_in_percent(share, words):
    assert percent(share) == words


def test_durations_print_in_the_unit_that_fits():
    words = [
        duration(seconds).replace("\N{NO-BREAK SPACE}", " ")
        for seconds in (0.04, 3.42, 57.6, 100.0, 750.0, 7200.0)
    ]
    assert words == ["0.0 s", "3.4 s", "58 s", "1.7 min", "12.5 min", "2.0 h"]


def test_rates_print_with_their_interval():
    assert rate(0.97, 0.9261, 0.9897).replace("\N{NO-BREAK SPACE}", " ") == "97 % [93, 99]"


def test_coefficients_print_with_their_sign():
    assert [signed(value) for value in (1.0, -0.7, 1.4, 0.0, -0.0)] == ["+1", "−0.7", "+1.4", "0", "0"]


def test_counts_and_lists():
    assert (span([100, 100]), span([98, 100, 99])) == ("100", "98 to 100")
    assert (listing(["a"]), listing(["a", "b"]), listing(["a", "b", "c"])) == ("a", "a and b", "a, b and c")
    assert listing([]) == ""


def test_white_space_of_tokens_is_shown():
    assert [visible(token) for token in ("\n\n", "ĊĊ", "▁model", "Ġa b", "")] == [
        "↵↵",
        "↵↵",
        "␣model",
        "␣a␣b",
        "empty",
    ]
