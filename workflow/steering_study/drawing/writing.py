"""How pages and figures of the report are written: whole or not at all, and the same bytes from the same values."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from os.path import relpath
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure

from steering_study.store.artifacts import replacing

# Nothing in a file may tell when or by which version it was written
METADATA: dict[str, dict[str, None]] = {
    "svg": {"Date": None, "Creator": None, "Format": None, "Type": None},
    "png": {"Software": None},
    "pdf": {"Creator": None, "Producer": None, "CreationDate": None},
}


@dataclass(frozen=True)
class Link:
    """Words and where they lead, relative to the page."""

    text: str
    href: str


def save_figure(figure: Figure, path: Path) -> None:
    """Save a figure so that a second run writes the same bytes; its first file settles the layout of all."""
    if (layout := figure.get_layout_engine()) is not None:
        if figure.axes:  # words alone have nothing to lay out
            layout.execute(figure)
        figure.set_layout_engine("none")  # else a third of the time of each file
    suffix = path.suffix.removeprefix(".")
    with replacing(path) as temporary:
        figure.savefig(temporary, format=suffix, metadata=METADATA[suffix])


def write_page(template: Path, out: Path, values: Mapping[str, Any]) -> None:
    """Fill a template of an HTML page; it may include files of its folder."""
    with replacing(out) as temporary:
        temporary.write_text(fill_template(template, values, autoescape=True), "utf-8")


def fill_template(template: Path, values: Mapping[str, Any], *, autoescape: bool) -> str:
    """The text of a template; a value that it names and `values` lacks is an error."""
    environment = Environment(
        loader=FileSystemLoader(template.parent),
        autoescape=autoescape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(template.name).render(values)


def in_script(value: Any) -> Markup:
    """JSON that cannot end the script element that it stands in."""
    return Markup(json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c"))


def relative(path: Path, *, folder: Path) -> str:
    """Path as a link from a page in `folder`."""
    return Path(relpath(path, folder)).as_posix()


def inline_svg(text: str, *, prefix: str, label: str) -> Markup:
    """An SVG file as an element of the page: no prolog, ids of its own, a label for screen readers."""
    body = text[text.index("<svg") :]
    body = re.sub(r'(\bid="|xlink:href="#|href="#|url\(#)', rf"\g<1>{prefix}-", body)
    opening = Markup('<svg role="img" aria-label="{}"').format(label)
    return Markup(body.replace("<svg", opening, 1))
