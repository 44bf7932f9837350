"""What a figure shows once it is drawn."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure


def drawn(figure: Figure) -> list[Axes]:
    """Axes of a figure that has been rendered once."""
    figure.canvas.draw()
    return figure.axes


def words(figure: Figure) -> str:
    return " ".join(text.get_text() for text in figure.findobj(lambda each: hasattr(each, "get_text")))
