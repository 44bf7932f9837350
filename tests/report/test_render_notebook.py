import ast
import re
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from steering_study.report.exhibits import TABLES
from steering_study.report.sections import notebook_parameters, read_report

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "workflow/notebooks").glob("*.ipynb"))
STATEMENTS = (ast.FunctionDef, ast.ClassDef, ast.For, ast.While, ast.AugAssign, ast.With, ast.Try, ast.If)
FORBIDDEN = (*STATEMENTS, ast.Lambda, ast.comprehension, ast.BinOp, ast.UnaryOp)
WRITERS = (
    "open",
    "write",
    "to_csv",
    "to_parquet",
    "savefig",
    "write_text",
    "write_bytes",
    "write_table",
    "write_frame",
    "print",
)


@pytest.fixture
def script(load_script):
    return load_script("render_notebook")


@pytest.fixture
def small(tmp_path) -> Path:
    """Shows a number and a text, each given."""
    cells = [
        new_markdown_cell("# Small"),
        new_code_cell('number = 1\ntext = "a"', metadata={"tags": ["parameters"]}),
        new_code_cell("from IPython.display import HTML\n\n1 / number"),
        new_code_cell("HTML(text)"),
    ]
    path = tmp_path / "small.ipynb"
    nbformat.write(
        new_notebook(
            cells=cells,
            metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
        ),
        path,
    )
    return path


def outputs(folder: Path) -> dict[str, Path]:
    return {
        "executed": folder / "logs/small.ipynb",
        "ipynb": folder / "out/small.ipynb",
        "html": folder / "out/small.html",
    }


def code(path: Path) -> ast.Module:
    cells = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    return ast.parse(
        "\n".join(line for cell in cells for line in cell.splitlines() if not line.startswith("%"))
    )


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_thin(path):
    nodes = list(ast.walk(code(path)))
    assert [ast.unparse(node) for node in nodes if isinstance(node, FORBIDDEN)] == []
    called = [node.func for node in nodes if isinstance(node, ast.Call)]
    names = [func.id if isinstance(func, ast.Name) else getattr(func, "attr", "") for func in called]
    assert [name for name in names if name in WRITERS] == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_shows_as_html_what_escapes_its_texts_alone(path):
    shown = [
        ast.unparse(node.args[0].func) if isinstance(node.args[0], ast.Call) else ast.unparse(node)
        for node in ast.walk(code(path))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("HTML", "Markdown", "display")
    ]
    assert set(shown) <= {function.__name__ for function in TABLES.values()}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_committed_without_outputs(path):
    notebook = nbformat.read(path, as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.source for cell in cells if cell.outputs or cell.execution_count is not None] == []
    assert notebook.metadata.kernelspec.name == "python3"
    assert "papermill" not in notebook.metadata


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_takes_the_frames_of_its_section(path, script):
    section = read_report(ROOT / "workflow/report/report.yaml").section(path.stem)
    script.check_parameters(path, notebook_parameters(section))
    first = ast.parse(
        next(
            c.source
            for c in nbformat.read(path, as_version=4).cells
            if c.metadata.get("tags") == ["parameters"]
        )
    )
    defaults = {node.targets[0].id: ast.literal_eval(node.value) for node in first.body}
    assert defaults == notebook_parameters(section)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (
            {"number": 2, "text": "b", "nubmer": 3},
            r"parameters number, text; unknown \['nubmer'\], not given \[\]",
        ),
        ({"number": 2}, r"unknown \[\], not given \['text'\]"),
    ],
)
def test_other_parameters_are_refused_before_anything_runs(small, script, tmp_path, parameters, message):
    with pytest.raises(ValueError, match=message):
        script.main(small, parameters=parameters, **outputs(tmp_path))
    assert not (tmp_path / "logs").exists()


def test_a_second_run_writes_the_same_bytes(small, script, tmp_path):
    given = {"number": 4, "text": "<b>bold</b>"}
    for run in ("one", "two"):
        script.main(small, parameters=given, **outputs(tmp_path / run))
    first, second = outputs(tmp_path / "one"), outputs(tmp_path / "two")
    assert {name: path.read_bytes() for name, path in first.items()} == {
        name: path.read_bytes() for name, path in second.items()
    }

    notebook = nbformat.read(first["ipynb"], as_version=4)
    assert notebook.cells[3].outputs[0]["data"]["text/plain"] == "0.25"
    assert [cell["id"] for cell in notebook.cells] == [f"cell-{i:03d}" for i in range(5)]
    assert "papermill" not in notebook.metadata

    page = first["html"].read_text("utf-8")
    assert "<title>small</title>" in page
    assert re.findall(r'(?:src|href)="(?:https?:)?//|import\("https?:|url\(["\']?(?:https?:)?//', page) == []


def test_a_failed_notebook_is_kept_in_the_log_alone(small, script, tmp_path):
    paths = outputs(tmp_path)
    with pytest.raises(
        ValueError,
        match=r"small\.ipynb failed in cell 3: ZeroDivisionError: division by zero; .*logs/small\.ipynb",
    ):
        script.main(small, parameters={"number": 0, "text": "b"}, **paths)
    assert "ZeroDivisionError" in paths["executed"].read_text("utf-8")
    assert not paths["ipynb"].exists()
    assert not paths["html"].exists()


@pytest.mark.slow
def test_steering_notebook_runs_on_paths_from_the_root(drawn_study, script, tmp_path, monkeypatch):
    monkeypatch.chdir(drawn_study.root)
    section = read_report(drawn_study.sections).section("steering")
    parameters = notebook_parameters(section)
    script.main(ROOT / "workflow/notebooks/steering.ipynb", parameters=parameters, **outputs(tmp_path))
    shown = [
        output
        for cell in nbformat.read(tmp_path / "out/small.ipynb", as_version=4).cells
        for output in cell.get("outputs", [])
    ]
    assert sum("image/png" in output.get("data", {}) for output in shown) == len(section.figures)
    assert '<script>alert("prompt")' not in (tmp_path / "out/small.html").read_text("utf-8")
