"""Imports go one way, along one list of folders; schemas, options, sections and figures load no torch."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import steering_study
from tests.conftest import REPOSITORY

PACKAGE = "steering_study"
ROOT = Path(steering_study.__file__).parent
SCRIPTS = ROOT.parent / "scripts"
PAGE = REPOSITORY / "docs" / "architecture.md"

# Each imports from those before it and from itself
ORDER = (
    "stats",
    "plain_text",
    "store",
    "models",
    "drawing",
    "prompts",
    "texts",
    "pocket",
    "judges",
    "vectors",
    "steering",
    "circuits",
    "attention",
    "sparsity",
    "claims",
    "quality",
    "export",
    "report",
    "study",
)
FOR_RULES = "study"  # nothing of ours imports it but the rules
USERS_OF_POCKET = {"label_texts", "train_bundled_model", "write_bundled_prompts"}  # scripts
HEAVY = {"torch", "transformers", "transformer_lens"}
WITHOUT_TORCH = ("schemas", "options", "section", "figures")
WITHOUT_FILES = ("section", "figures")
READERS = {"open", "read_text", "read_bytes", "read_csv", "read_table", "read_json", "read_yaml"}
READERS |= {"read_tensors", "read_arrays"}

LIGHT_SCRIPTS = (
    "prepare_prompts",
    "choose_coefficient",
    "judge_responses",
    "label_texts",
    "measure_judges",
    "pair_responses",
    "summarise_layers",
    "summarise_steering",
    "compare_vectors",
    "build_circuits",
    "summarise_circuits",
    "summarise_circuit_text",
    "summarise_ablations",
    "average_ablations",
    "join_decompositions",
    "summarise_sparsity",
    "judge_claims",
    "average_claims",
    "write_export",
    "draw_figures",
    "write_report",
    "write_gallery",
    "describe_run",
)


def imports_of(path: Path) -> Iterator[str]:
    """Dotted names that a file imports, inside functions and for types as well."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def ours(path: Path) -> set[str]:
    """Folders of the package that a file imports from."""
    return {name.split(".")[1] for name in imports_of(path) if name.startswith(f"{PACKAGE}.")}


def theirs(path: Path) -> set[str]:
    """Other packages that a file imports."""
    return {name.split(".")[0] for name in imports_of(path)} - {PACKAGE}


def folder_of(path: Path) -> str:
    """The folder of the package that a file lies in; its own name at the top."""
    return path.relative_to(ROOT).with_suffix("").parts[0]


FILES = [path for path in sorted(ROOT.rglob("*.py")) if path != ROOT / "__init__.py"]
every_file = pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))


def test_the_list_names_every_folder_once():
    assert sorted({folder_of(path) for path in FILES}) == sorted(ORDER)


@every_file
def test_a_folder_imports_from_those_before_it_alone(path):
    allowed = ORDER[: ORDER.index(folder_of(path)) + 1]
    assert ours(path) <= set(allowed), f"{path.relative_to(ROOT)} imports from a later folder"


def test_an_import_that_is_turned_round_is_seen(tmp_path, monkeypatch):
    turned = tmp_path / "store" / "artifacts.py"
    turned.parent.mkdir()
    turned.write_text("from steering_study.circuits.schemas import RANKINGS\n", "utf-8")
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    with pytest.raises(AssertionError, match=r"store/artifacts\.py imports from a later folder"):
        test_a_folder_imports_from_those_before_it_alone(turned)


def test_rules_alone_import_what_is_theirs():
    for path in [*FILES, *SCRIPTS.glob("*/*.py")]:
        assert "snakemake" not in theirs(path), path
        if not path.is_relative_to(ROOT / FOR_RULES):
            assert FOR_RULES not in ours(path), path


def test_pocket_is_imported_by_its_scripts_and_the_config_alone():
    beside = {path for path in FILES if folder_of(path) != "pocket" and "pocket" in ours(path)}
    assert beside == {ROOT / "study" / "config.py"}
    assert {path.stem for path in SCRIPTS.glob("*/*.py") if "pocket" in ours(path)} == USERS_OF_POCKET


@pytest.mark.parametrize("name", WITHOUT_TORCH)
def test_what_only_describes_or_draws_loads_no_torch(name):
    found = [path for path in FILES if name in path.relative_to(ROOT).with_suffix("").parts]
    assert found
    for path in found:
        assert not HEAVY & theirs(path), path


@pytest.mark.parametrize("name", WITHOUT_FILES)
def test_sections_and_figures_read_no_files(name):
    for path in FILES:
        if name in path.relative_to(ROOT).with_suffix("").parts:
            called = {
                getattr(node.func, "attr", getattr(node.func, "id", ""))
                for node in ast.walk(ast.parse(path.read_text("utf-8")))
                if isinstance(node, ast.Call)
            }
            assert not READERS & called, path


def test_digest_can_follow_every_import():
    """It follows `from steering_study.x import y`; other spellings would hide code from it."""
    for path in [*FILES, *SCRIPTS.glob("*/*.py")]:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                assert not [alias for alias in node.names if alias.name.startswith(PACKAGE)], path
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, path
                assert "*" not in [alias.name for alias in node.names], path


def test_light_scripts_load_neither_torch_nor_models():
    code = (
        "import runpy, sys\n"
        "for script in sys.argv[1:]:\n"
        "    runpy.run_path(script)\n"
        "    heavy = sorted({'torch', 'transformers', 'transformer_lens'} & set(sys.modules))\n"
        "    assert not heavy, f'{script} loads {heavy}'\n"
    )
    scripts = [path for path in sorted(SCRIPTS.glob("*/*.py")) if path.stem in LIGHT_SCRIPTS]
    assert len(scripts) == len(LIGHT_SCRIPTS)
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, scripts)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_stage_has_one_word_for_rules_scripts_tests_and_package():
    stages = {path.name for path in SCRIPTS.iterdir() if path.is_dir()}
    rules = {path.stem for path in (ROOT.parent / "rules").glob("*.smk")} - {"common", "requests"}
    assert stages == rules
    assert stages <= set(ORDER)
    tests = {path.name for path in (REPOSITORY / "tests").iterdir() if path.is_dir()}
    assert set(ORDER) - {"stats", "plain_text"} <= tests
    for rule in (ROOT.parent / "rules").glob("*.smk"):
        for line in rule.read_text("utf-8").splitlines():
            if line.strip().startswith('"../scripts/'):
                assert line.strip().startswith(f'"../scripts/{rule.stem}/'), line


def drawing() -> str:
    """The order of folders as a triangle: a folder a line, with a mark below each that it imports from."""
    uses = {name: set() for name in ORDER}
    for path in FILES:
        uses[folder_of(path)] |= ours(path) - {folder_of(path)}
    width = max(map(len, ORDER))
    lines = []
    for place, name in enumerate(ORDER):
        marks = " ".join("●" if other in uses[name] else "·" for other in ORDER[:place])
        lines.append(f"{name:<{width}} {marks} {name[:3]}".rstrip())
    return "\n".join(lines)


def test_the_page_draws_the_order_of_imports():
    text = PAGE.read_text("utf-8")
    head, _, rest = text.partition("```text\n")
    _, _, tail = rest.partition("```")
    wanted = f"{head}```text\n{drawing()}\n```{tail}"
    if os.environ.get("UPDATE_DOCS"):
        PAGE.write_text(wanted, "utf-8")
    assert text == wanted or os.environ.get("UPDATE_DOCS"), (
        "UPDATE_DOCS=1 pytest tests/test_imports.py draws it anew"
    )
