"""Tables of the report as HTML: every text escaped, every number with the value it was printed from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

LEFT = "text-align: left"  # in the cell itself, because notebook pages turn all cells to the right
BELOW = "display: block"  # idem: they would set notes in the line


@dataclass(frozen=True)
class Cell:
    """One cell of a table.

    Attributes:
        text: what it shows.
        note: a second, smaller line.
        value: the number behind the text, kept in the page as `data-value` for sorting.
        kind: CSS class.
        badge: a word or two that stand out, between text and note.
        href: where the text leads.
        links: words below the note and where they lead; nowhere if that is empty.
    """

    text: str
    note: str = ""
    value: float | None = None
    kind: str = ""
    badge: str = ""
    href: str = ""
    links: tuple[tuple[str, str], ...] = ()


def html_table(
    header: Sequence[str], rows: Sequence[Sequence[Cell]], *, groups: Sequence[str] = (), kind: str = ""
) -> Markup:
    """A table as HTML.

    Args:
        groups: what each row belongs to; a line above the first row of a group names it; what follows a line break is set small.
        kind: CSS class of the table.

    Raises:
        ValueError: if a row is not as long as the header.
    """
    body, group = [], ""
    for row, of_group in zip(rows, groups or [""] * len(rows), strict=True):
        if len(row) != len(header):
            raise ValueError(f"a row of {len(row)} cells under a header of {len(header)}: {row[0].text!r}")
        if of_group != group:
            group = of_group
            title = Markup('<tr class="group"><th scope="rowgroup" colspan="{}" style="{}">{}</th></tr>')
            body.append(title.format(len(header), LEFT, _lines(group)))
        cells = Markup().join(_cell(cell, label) for cell, label in zip(row, header, strict=True))
        body.append(Markup("<tr>{}</tr>").format(cells))
    head = Markup().join(
        Markup('<th scope="col" style="{}">{}</th>').format(LEFT, _lines(each)) for each in header
    )
    frame = Markup('<table class="{}">\n<thead><tr>{}</tr></thead>\n<tbody>\n{}\n</tbody>\n</table>')
    return frame.format(kind, head, Markup("\n").join(body))


def _cell(cell: Cell, label: str) -> Markup:
    value = "" if cell.value is None else Markup(' data-value="{}"').format(f"{cell.value:.6g}")
    kind = Markup(' class="{}"').format(cell.kind) if cell.kind else ""
    badge = Markup('<span class="badge">{}</span>').format(cell.badge) if cell.badge else Markup()
    links = Markup(" · ").join(_link(words, href) for words, href in cell.links)
    notes = (
        Markup('<small style="{}">{}</small>').format(BELOW, each) for each in (cell.note, links) if each
    )
    below = badge + Markup().join(notes)
    return Markup('<td style="{}" data-label="{}"{}{}><div>{}</div>{}</td>').format(
        LEFT, label.replace("\n", ", "), kind, value, _link(cell.text, cell.href), below
    )


def _link(words: str, href: str) -> Markup:
    return Markup('<a href="{}">{}</a>').format(href, words) if href else Markup("{}").format(words)


def _lines(text: str) -> Markup:
    name, *rest = text.split("\n")
    return Markup("{}").format(name) + Markup().join(
        Markup("<br><small>{}</small>").format(line) for line in rest
    )
