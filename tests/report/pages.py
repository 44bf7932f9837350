"""What tests of the report's pages share: a strict reader, and what a browser finds on a page."""

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
QUIET = "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-component-update --disable-sync"

needs_browser = pytest.mark.skipif(
    BROWSER is None, reason="no chromium, chromium-browser or google-chrome; returns where one is installed"
)


class Page(HTMLParser):
    """Links, ids, resources and scripts of a page; complains of tags that do not close."""

    void = ("meta", "br", "link", "img", "hr", "input")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links, self.ids, self.resources, self.scripts, self.open = [], [], [], 0, []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.ids += [given["id"]] if "id" in given else []
        self.links += [given["href"]] if tag == "a" else []
        self.resources += [given[key] for key in ("src", "srcset", "data", "poster") if key in given]
        self.resources += [given["href"]] if tag == "link" else []
        self.scripts += tag == "script"
        if tag not in self.void:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in self.void:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def loaded_by(page: str) -> list[str]:
    """What a page would load when it is opened."""
    # names of XML vocabularies, which nothing loads, are the only addresses
    vocabularies = {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    addresses = set(re.findall(r"https?://[^\s\"'<>)]*", page)) - vocabularies
    return [*Page(page).resources, *re.findall(r"@import|url\((?!#)[^)]*\)", page), *sorted(addresses)]


@dataclass(frozen=True)
class Visit:
    """What a browser found on a page, and what it said about it in its console."""

    found: Any
    console: list[str]


def visit(page: Path, width: int, folder: Path, *, script: str) -> Visit:
    """Open a page from disk, in a frame of some width, as browser windows have a least width of their own.

    Args:
        folder: for the browser's profile and the frame.
        script: body of a function of the page's `document` and `window`; what it returns is found.
    """
    assert BROWSER is not None
    (folder / "frame.html").write_text(
        f"""<!doctype html><iframe id="page" style="border: 0; width: {width}px; height: 900px"></iframe><pre id="found"></pre>
        <script>
        const page = document.getElementById("page");
        const look = (document, window) => {{ {script} }};
        page.onload = () => {{
          const found = JSON.stringify(look(page.contentDocument, page.contentWindow));
          document.getElementById("found").textContent = "found " + encodeURIComponent(found) + ".";
        }};
        page.src = {json.dumps(page.resolve().as_uri())};
        </script>""",
        "utf-8",
    )
    command = [
        BROWSER,
        *QUIET.split(),
        "--allow-file-access-from-files",  # the frame may look into the page
        "--enable-logging=stderr",
        f"--user-data-dir={folder / 'profile'}",
        "--virtual-time-budget=10000",
        "--dump-dom",
        (folder / "frame.html").as_uri(),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=True)
    found = re.search(r">found (.*)\.<", done.stdout)
    assert found, done.stderr[-2000:]
    said = [line for line in done.stderr.splitlines() if re.search(r":CONSOLE[:(]", line)]
    return Visit(json.loads(unquote(found[1])), said)


def browse(page: str, width: int, folder: Path, *, script: str) -> Any:
    """Open the text of a page; the value of `script`."""
    (folder / "page.html").write_text(page, "utf-8")
    return visit(folder / "page.html", width, folder, script=script).found


def widths_of(page: str, width: int, folder: Path) -> tuple[int, int]:
    """How wide a page is shown in a frame, and how wide it would have to be."""
    script = "const root = document.documentElement; return [root.clientWidth, root.scrollWidth];"
    shown, needed = browse(page, width, folder, script=script)
    return shown, needed


def broken_links(page: Path) -> list[str]:
    """Links of a page that lead to no file beside it, or to an id that an HTML file does not have."""
    ids: dict[Path, set[str]] = {}
    broken = []
    for link in Page(page.read_text("utf-8")).links:
        name, _, fragment = unquote(link).partition("#")
        target = (page.parent / name).resolve() if name else page.resolve()
        if "://" in link or not target.exists():
            broken.append(link)
        elif fragment and target.suffix == ".html":
            if target not in ids:
                ids[target] = set(Page(target.read_text("utf-8")).ids)
            broken += [] if fragment in ids[target] else [link]
    return broken
