"""What tests of the report's pages share: a strict reader, and how wide a browser finds a page."""

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

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


def browse(page: str, width: int, folder: Path, *, script: str) -> str:
    """Open a page in a frame of some width, as browser windows have a least width of their own.

    Returns:
        The value of `script`, in which `document` is the page's.
    """
    assert BROWSER is not None
    content = json.dumps(page).replace("</", "<\\/").replace("<!--", "<\\!--")
    (folder / "frame.html").write_text(
        f"""<!doctype html><iframe id="page" style="border: 0; width: {width}px; height: 900px"></iframe><pre id="found"></pre>
        <script>
        const page = document.getElementById("page");
        const look = document => {{ {script} }};
        page.onload = () => {{
          document.getElementById("found").textContent = "found " + look(page.contentDocument) + ".";
        }};
        page.srcdoc = {content};
        </script>""",
        "utf-8",
    )
    command = [
        BROWSER,
        *QUIET.split(),
        f"--user-data-dir={folder / 'profile'}",
        "--virtual-time-budget=10000",
        "--dump-dom",
        (folder / "frame.html").as_uri(),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    found = re.search(r">found (.*)\.<", done.stdout)
    assert found, done.stderr[-2000:]
    return found[1]


def widths_of(page: str, width: int, folder: Path) -> tuple[int, int]:
    """How wide a page is shown in a frame, and how wide it would have to be."""
    script = "const root = document.documentElement; return `${root.clientWidth} ${root.scrollWidth}`;"
    shown, needed = map(int, browse(page, width, folder, script=script).split())
    return shown, needed
