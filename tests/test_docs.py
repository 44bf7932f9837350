"""The pages name only what there is: functions, config keys, rules, targets, paths, links and messages."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import yaml

from tests.conftest import REPOSITORY

PACKAGE = REPOSITORY / "workflow" / "steering_study"
DOCS = sorted((REPOSITORY / "docs").rglob("*.md"))
PAGES = [REPOSITORY / "README.md", REPOSITORY / "config" / "README.md", *DOCS]
KEPT = "config|docs|envs|profiles|resources|tests|benchmarks|workflow"  # folders whose files are committed
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.M | re.S)


every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))


def prose_of(page: Path) -> str:
    """A page without its code blocks, fenced or indented."""
    text = FENCE.sub("", page.read_text("utf-8"))
    return re.sub(r"^ {4}.*\n", "", text, flags=re.M)


def quoted(page: Path) -> list[str]:
    """What stands in backticks in a line of prose."""
    return re.findall(r"`([^`\n]+)`", prose_of(page))


@cache
def names_of(file: Path) -> frozenset[str]:
    """What a module defines: functions, classes, constants, and what a class has as `Class.name`."""
    return frozenset(_names(ast.parse(file.read_text("utf-8")).body, ""))


def _names(body: list[ast.stmt], prefix: str) -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield prefix + node.name
        if isinstance(node, ast.ClassDef):
            yield from _names(node.body, f"{prefix}{node.name}.")
        targets = (
            node.targets
            if isinstance(node, ast.Assign)
            else [node.target]
            if isinstance(node, ast.AnnAssign)
            else []
        )
        yield from (prefix + target.id for target in targets if isinstance(target, ast.Name))


def in_package(dotted: str) -> bool:
    """Whether a name is a module of the package, or something that one defines."""
    parts = dotted.split(".")
    for n in range(len(parts), 0, -1):
        base = PACKAGE.joinpath(*parts[:n])
        rest = ".".join(parts[n:])
        for file in (base.with_suffix(".py"), base / "__init__.py"):
            if file.is_file() and (not rest or rest in names_of(file)):
                return True
    return False


@cache
def config_keys() -> frozenset[str]:
    """Dotted keys of the config, and every beginning of one, with and without `<name>`."""
    listed = re.findall(
        r"^\| `([\w.<>\[\]]+)` \|", (REPOSITORY / "config/README.md").read_text("utf-8"), re.M
    )
    sections = yaml.safe_load((REPOSITORY / "config/study.yaml").read_text("utf-8"))
    keys = {*listed, *sections}
    for key in listed:
        parts = key.replace("[]", "").split(".")
        keys |= {".".join(parts[:n]) for n in range(1, len(parts) + 1)}
        keys |= {".".join(part for part in parts[:n] if part != "<name>") for n in range(1, len(parts) + 1)}
    return frozenset(keys)


@cache
def rule_names() -> frozenset[str]:
    """Rules and targets of the workflow."""
    files = [REPOSITORY / "workflow/Snakefile", *(REPOSITORY / "workflow/rules").glob("*.smk")]
    found = [name for file in files for name in re.findall(r"^rule (\w+):", file.read_text("utf-8"), re.M)]
    return frozenset(found)


def commands(page: Path) -> list[str]:
    """Lines of shell blocks, and commands in backticks, without comments."""
    text = page.read_text("utf-8")
    lines = [
        line for kind, block in FENCE.findall(text) if kind in ("sh", "bash") for line in block.splitlines()
    ]
    lines += [each for each in quoted(page) if re.match(r"(make|snakemake) ", each)]
    return [line.split(" #")[0].strip() for line in lines if line.strip()]


@every_page
def test_functions_and_keys_that_a_page_names_exist(page):
    modules = {path.stem if path.is_file() else path.name for path in PACKAGE.iterdir()} - {"__pycache__"}
    sections = {key.split(".")[0] for key in config_keys()}
    for name in quoted(page):
        if re.fullmatch(r"[a-z_]+(\.\w+)+", name) and name.split(".")[0] in modules | sections:
            is_file = name.rsplit(".", 1)[1] in ("py", "json", "parquet", "yaml", "safetensors", "md", "csv")
            assert is_file or in_package(name) or name in config_keys(), f"`{name}` does not exist"


FILE_ENDS = ("py", "json", "parquet", "yaml", "safetensors", "md", "csv")


@every_page
def test_functions_are_named_with_their_stage(page):
    """`circuits.nesting.path_order`, not `nesting.path_order`: a reader finds the folder by the first word."""
    modules = {path.stem for path in PACKAGE.rglob("*.py")} - {path.stem for path in PACKAGE.iterdir()}
    for name in quoted(page):
        if re.fullmatch(r"[a-z_]+(\.\w+)+", name) and name.rsplit(".", 1)[1] not in FILE_ENDS:
            known = {*config_keys(), "tokenizer.apply_chat_template"}  # of transformers
            assert name.split(".")[0] not in modules or name in known, f"`{name}` lacks its stage"


def test_names_in_docstrings_and_comments_exist():
    files: dict[str, list[Path]] = {}
    for path in PACKAGE.rglob("*.py"):
        files.setdefault(path.stem, []).append(path)
    folders = [PACKAGE, *(REPOSITORY / each for each in ("workflow/scripts", "workflow/rules", "benchmarks"))]
    sources = [path for folder in folders for end in ("py", "smk") for path in folder.rglob(f"*.{end}")]
    for path in sources:
        for name in re.findall(r"`([a-z_]+(?:\.\w+)+)`", path.read_text("utf-8")):
            *_, module, function = name.split(".")
            known = [function in names_of(file) for file in files.get(module, [])]
            is_file = function in FILE_ENDS
            assert is_file or any(known) or function in files, (
                f"{path.name} names `{name}`, which does not exist"
            )


@every_page
def test_paths_that_a_page_names_exist(page):
    for name in quoted(page):
        if re.fullmatch(rf"({KEPT})/[\w./*-]*", name):
            assert list(REPOSITORY.glob(name)) or (REPOSITORY / name).exists(), f"`{name}` does not exist"


@every_page
def test_rules_that_a_page_names_exist(page):
    text = prose_of(page)
    for phrase in re.findall(r"\brules? ((?:`\w+`(?:, | and | or )?)+)", text):
        for name in re.findall(r"`(\w+)`", phrase):
            assert name in rule_names(), f"there is no rule `{name}`"


@every_page
def test_commands_that_a_page_gives_have_targets(page):
    targets = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text("utf-8"), re.M))
    for command in commands(page):
        words = command.split()
        if words[0] == "make":
            assert words[1] in targets, command
        if words[0] == "snakemake":
            given = [word for word in words[1:2] if re.fullmatch(r"[a-z_]+", word)]
            assert set(given) <= rule_names(), command
            files = [word for word in words if re.fullmatch(r"config/\w+\.yaml", word)]
            files = [file for file in files if file != "config/mine.yaml"]  # the reader's own
            assert all((REPOSITORY / file).is_file() for file in files), command


def anchors(page: Path) -> set[str]:
    """What headings of a page are linked by."""
    headings = re.findall(r"^#+ (.*)$", prose_of(page), re.M)
    kept = ["".join(c for c in heading.lower() if c.isalnum() or c in " -_") for heading in headings]
    return {heading.replace(" ", "-") for heading in kept}


@every_page
def test_links_of_a_page_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", prose_of(page)):
        if not target.startswith("http"):
            file, _, anchor = target.partition("#")
            linked = (page.parent / file).resolve() if file else page
            assert linked.exists(), f"{target} does not exist"
            assert not anchor or anchor in anchors(linked), f"{target} has no such heading"


FOREIGN = {
    "died with <Signals.SIGKILL: 9>",
    "Directory cannot be locked",
    "Failed to create output directory",
    "does not match '^[^{}<>]+$'",
}  # of Python, Snakemake and jsonschema


@cache
def messages() -> tuple[str, ...]:
    """Texts in the code, with an ellipsis for every value put in; the lines of the script that sets up."""
    found = (REPOSITORY / "envs/setup.sh").read_text("utf-8").splitlines()
    for file in (REPOSITORY / "workflow").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.JoinedStr):
                found.append(
                    "".join(part.value if isinstance(part, ast.Constant) else "…" for part in node.values)
                )
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return tuple(found)


def test_messages_that_the_page_on_troubles_quotes_are_those_of_the_code():
    page = REPOSITORY / "docs/running/troubleshooting.md"
    rows = [line.split("|")[1] for line in page.read_text("utf-8").splitlines() if line.startswith("| `")]
    cited = {text for row in rows for text in re.findall(r"`([^`]+)`", row) if " " in text or "…" in text}
    cited |= {text for text in quoted(page) if re.search(r"^(is|has|holds|vector|expects|checks) ", text)}
    cited = {
        text for text in cited if text not in FOREIGN and not re.match(r"(make|snakemake) |[\w.]+\(", text)
    }
    assert len(cited) > 30
    for text in cited:
        pieces = [re.escape(piece.strip()) for piece in text.removeprefix("setup: ").split("…")]
        assert any(re.search(".*".join(pieces), message) for message in messages()), text


STAGE_PAGES = (
    "prompts",
    "texts",
    "judges",
    "vectors",
    "steering",
    "circuits",
    "attention",
    "sparsity",
    "claims",
    "stats",
)


@pytest.mark.parametrize("stage", STAGE_PAGES)
def test_every_equation_of_a_stage_names_what_computes_it(stage):
    text = (REPOSITORY / f"docs/{stage}.md").read_text("utf-8")
    for part in re.split(r"^(?=#+ |\*\*)", text, flags=re.M):
        equations = re.findall(r"\$\$.*?\$\$", part, re.S)
        functions = [name for name in re.findall(r"`([\w.]+)`", part) if "." in name and in_package(name)]
        assert len(functions) >= len(equations), f"no function for an equation of: {part[:60]}"


def test_the_index_lists_every_page():
    listed = set(re.findall(r"\]\(([\w/-]+\.md)\)", (REPOSITORY / "docs/README.md").read_text("utf-8")))
    pages = {page.relative_to(REPOSITORY / "docs").as_posix() for page in DOCS} - {"README.md"}
    assert listed == pages
    assert {f"{stage}.md" for stage in STAGE_PAGES} <= pages


@pytest.mark.parametrize("page", ["data.md", "prompts.md"])
def test_pages_state_records_and_licences_of_public_prompts_as_pinned(page):
    rows = [
        line for line in (REPOSITORY / "docs" / page).read_text("utf-8").splitlines() if line.startswith("|")
    ]
    for entry in yaml.safe_load((REPOSITORY / "resources/prompts/public.yaml").read_text("utf-8")):
        name = entry["name"].split("_")[0]
        (row,) = (
            each for each in rows if each.split("|")[1].replace(" ", "").lower().strip("`").startswith(name)
        )
        assert f"{entry['rows']:,}" in row, entry["name"]
        assert entry["licence"] in row, entry["name"]


def test_costs_of_the_published_study_are_those_of_the_arithmetic():
    script = REPOSITORY / "benchmarks" / "paper_run.py"
    printed = subprocess.run([sys.executable, script], check=True, capture_output=True, text=True).stdout
    memory, hours = printed.strip().split("\n\n")
    page = (REPOSITORY / "docs" / "running" / "paper-run.md").read_text("utf-8")
    assert memory in page, f"docs/running/paper-run.md is out of date; expected\n{memory}"
    assert hours in page, f"docs/running/paper-run.md is out of date; expected\n{hours}"
