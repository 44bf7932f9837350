import pytest

from steering_study.report.sections import read_report
from steering_study.report.sources import WORKFLOW, function_source, rule_source, source_paths

RULES = """rule first:
    output:
        "a.txt",


rule second:
    input:
        "a.txt",

    output:
        "b.txt",
# a comment
rule third:
    output:
        "c.txt",
"""


def test_function_comes_with_its_text_and_line():
    source = function_source("steering_study.report.sources.rule_source")
    lines = source.path.read_text("utf-8").splitlines()
    assert lines[source.line - 1] == source.text.splitlines()[0]
    assert source.text.startswith("def rule_source(")


@pytest.mark.parametrize("name", ["steering_study.nothing.here", "steering_study.report.sources.nothing"])
def test_missing_function_is_named(name):
    with pytest.raises(ValueError, match=f"a section names '{name}'"):
        function_source(name)


def test_rule_ends_where_the_next_thing_begins(tmp_path):
    path = tmp_path / "x.smk"
    path.write_text(RULES)
    source = rule_source("second", [path])
    assert (source.line, source.text) == (
        6,
        'rule second:\n    input:\n        "a.txt",\n\n    output:\n        "b.txt",',
    )
    assert rule_source("third", [path]).text.endswith('"c.txt",')


def test_missing_rule_is_named(tmp_path):
    path = tmp_path / "x.smk"
    path.write_text(RULES)
    with pytest.raises(ValueError, match="rule 'secon' made it, which workflow/rules does not have"):
        rule_source("secon", [path])


def test_files_of_the_functions_are_named_from_the_working_directory(monkeypatch):
    monkeypatch.chdir(WORKFLOW.parent)
    paths = source_paths(read_report(WORKFLOW / "report/report.yaml"))
    assert "workflow/steering_study/stats.py" in paths
    assert paths == sorted(set(paths))
