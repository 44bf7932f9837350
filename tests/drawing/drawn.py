"""What a figure shows once it is drawn."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure


def drawn(figure: Figure) -> list[Axes]:
    """Axes of a figure that has been rendered once, and whose legends are not cut off."""
    figure.canvas.draw()
    for legend in figure.legends:
        box = legend.get_window_extent()
        assert figure.bbox.x0 - 1 <= box.x0 < box.x1 <= figure.bbox.x1 + 1, (
            "a legend is wider than its figure"
        )
    return figure.axes


def words(figure: Figure) -> str:
    return " ".join(text.get_text() for text in figure.findobj(lambda each: hasattr(each, "get_text")))
