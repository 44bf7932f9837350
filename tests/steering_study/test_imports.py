"""Imports point down: scripts, procedures, model layer, pure layer; light scripts load no torch."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import steering_study

PACKAGE = "steering_study"
ROOT = Path(steering_study.__file__).parent
SCRIPTS = ROOT.parent / "scripts"

PURE = {
    "conditions",
    "resources",
    "ablations",
    "graph",
    "blocks",
    "metrics",
    "circuits",
    "nesting",
    "ov",
    "sparsify",
    "overlap",
    "stats",
    "plain_text",
}
MODEL_LAYER = {
    "runs",
    "likelihoods",
    "hooks",
    "prompts",
    "chat",
    "adapters",
    "models",
    "memory",
    "weights",
    "tails",
    "traces",
    "streams",
    "forced",
}
PROCEDURES = {
    "vectors",
    "judges",
    "attribution",
    "patching",
    "patching_sets",
    "circuit_sets",
    "circuit_tables",
    "faithfulness",
    "lockstep",
    "freezing",
    "decomposition",
    "neurons",
    "ablation_tables",
    "lens_tables",
    "generation",
    "summaries",
    "quality",
    "prompt_sets",
    "records",
    "yaml_files",
    "side_effects",
    "claims",
    "measurements",
    "sparse_runs",
    "sparse_tables",
    "sparse_inputs",
    "export",
}
SHOWN = {"figures", "report"}
FOR_RULES = {"config", "config_files", "digest", "forecast", "plan"}
FOR_SCRIPTS = {"presence", "jobs", "inputs"}
LEVELS = [
    {"table_schemas"},
    {"artifacts"},
    PURE,
    MODEL_LAYER,
    PROCEDURES,
    SHOWN,
]  # each may import from those before it, and itself

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
    """First parts of the package that a file imports."""
    return {name.split(".")[1] for name in imports_of(path) if name.startswith(f"{PACKAGE}.")}


def theirs(path: Path) -> set[str]:
    """Other packages that a file imports."""
    return {name.split(".")[0] for name in imports_of(path)} - {PACKAGE}


def part_of(path: Path) -> str:
    return path.relative_to(ROOT).with_suffix("").parts[0]


FILES = [path for path in sorted(ROOT.rglob("*.py")) if path != ROOT / "__init__.py"]
PARTS = sorted({part_of(path) for path in FILES})


def files_of(*parts: str) -> list[Path]:
    return [path for path in FILES if part_of(path) in parts]


def test_every_module_has_a_place():
    known = set.union(*LEVELS, FOR_RULES, FOR_SCRIPTS, {"pocket"})
    assert set(PARTS) <= known


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_down(path):
    part = part_of(path)
    levels = [names for names in LEVELS if part in names]
    if levels:
        allowed = set.union(*LEVELS[: LEVELS.index(levels[0]) + 1])
        assert ours(path) <= allowed


@pytest.mark.parametrize("part", sorted(PURE & set(PARTS)))
def test_pure_layer_imports_nothing_of_ours_but_its_own(part):
    assert all(ours(path) <= PURE for path in files_of(part))


def test_schemas_import_nothing_of_ours_and_artifacts_nothing_else():
    assert [ours(path) for path in files_of("table_schemas")] == [set()]
    assert [ours(path) for path in files_of("artifacts")] == [{"table_schemas"}]


def test_jobs_imports_artifacts_and_presence_alone_and_presence_nothing():
    assert [ours(path) for path in files_of("jobs", "presence")] == [{"artifacts", "presence"}, set()]


def test_pocket_is_imported_by_its_scripts_alone():
    assert not [path for path in FILES if part_of(path) != "pocket" and "pocket" in ours(path)]
    users = {path.stem for path in SCRIPTS.glob("*.py") if "pocket" in ours(path)}
    assert users == {"train_bundled_model", "write_bundled_prompts", "label_texts"}


def test_pocket_needs_nothing_of_the_study():
    # its chat templates are read as the study reads any
    assert all(ours(path) <= {"pocket", "prompts", "chat"} for path in files_of("pocket"))


def test_library_is_given_values():
    for path in FILES:
        assert "snakemake" not in theirs(path), path
        assert not FOR_RULES & ours(path), path


def test_scripts_are_given_values():
    for path in SCRIPTS.glob("*.py"):
        assert "snakemake" not in theirs(path), path
        assert not FOR_RULES & ours(path), path


def test_figures_load_no_torch():
    for path in files_of("figures", "report"):
        assert not {"torch", "transformers", "transformer_lens"} & theirs(path), path


def test_tables_of_text_load_no_torch():
    for path in files_of(
        "summaries", "prompt_sets", "stats", "overlap", "sparsify", "sparse_tables", "artifacts", "export"
    ):
        assert "torch" not in {name.split(".")[0] for name in top_level_imports(path)}, path


def top_level_imports(path: Path) -> Iterator[str]:
    """Names that a file imports when it is loaded."""
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield str(node.module)


def test_digest_can_follow_every_import():
    """It follows `from steering_study.x import y`; other spellings would hide code from it."""
    for path in [*FILES, *SCRIPTS.glob("*.py")]:
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
    scripts = [SCRIPTS / f"{stem}.py" for stem in LIGHT_SCRIPTS]
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, scripts)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
