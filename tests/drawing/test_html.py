"""Tables as HTML: texts are escaped, rows are as long as the header."""

import pytest

from steering_study.drawing.html import Cell, html_table


def test_short_row_is_refused():
    with pytest.raises(ValueError, match="a row of 1 cells under a header of 2"):
        html_table(["a", "b"], [[Cell("x")]])
