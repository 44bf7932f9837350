"""Code digests: they follow names from a script through the package, and see code alone."""

from __future__ import annotations

import itertools
import re
import shutil
from collections.abc import Callable
from inspect import isfunction
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from steering_study.store import schema
from steering_study.store.artifacts import write_table
from steering_study.study import digest
from steering_study.vectors.schemas import COSINE

ROOT = Path(__file__).parents[2]
Digest = Callable[..., str]


@pytest.fixture
def digest_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Digest:
    """Digest of a script beside a package of the given modules; each call has a folder of its own."""
    numbers = itertools.count()

    def build(script: str, modules: dict[str, str]) -> str:
        folder = tmp_path / str(next(numbers))
        for name, text in {"script.py": script, **modules}.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, "utf-8")
        monkeypatch.setattr(digest, "ROOT", folder)
        return digest.code_digest(folder / "script.py")

    return build


def changes(digest_of: Digest, script: str, before: dict[str, str], **edits: str) -> bool:
    """Whether the script's digest changes when modules do; `edits` are old=new texts, by module."""
    after = dict(before)
    for module, edit in edits.items():
        old, new = edit.split(" -> ")
        assert old in before[f"{module}.py"]
        after[f"{module}.py"] = before[f"{module}.py"].replace(old, new)
    return digest_of(script, before) != digest_of(script, after)


USES_F = "from steering_study.m import f\nf()\n"
MODULE = '''"""What m does."""
LIMIT = 3
OTHER = 4

def f():
    """Give the limit."""
    return helper() + LIMIT  # as asked

def helper():
    return 1

def unused():
    return OTHER
'''


def test_digest_is_that_of_the_code_not_of_its_place(digest_of):
    assert digest_of(USES_F, {"m.py": MODULE}) == digest_of(USES_F, {"m.py": MODULE})


@pytest.mark.parametrize(
    "edit",
    [
        "What m does. -> What it did.",
        "Give the limit. -> Return it.",
        "  # as asked -> ",
        "helper() + LIMIT -> (helper()  +  LIMIT)",
        "def helper -> # a comment\n\ndef helper",
    ],
)
def test_docstrings_comments_and_spacing_do_not_count(digest_of, edit):
    assert not changes(digest_of, USES_F, {"m.py": MODULE}, m=edit)


def test_a_docstring_of_the_script_does_not_count(digest_of):
    assert digest_of('"""A."""\n' + USES_F, {"m.py": MODULE}) == digest_of(
        '"""B."""\n' + USES_F, {"m.py": MODULE}
    )


@pytest.mark.parametrize(
    "edit", ["helper() + LIMIT -> helper() - LIMIT", "return 1 -> return 2", "LIMIT = 3 -> LIMIT = 5"]
)
def test_functions_and_constants_that_the_script_reaches_count(digest_of, edit):
    assert changes(digest_of, USES_F, {"m.py": MODULE}, m=edit)


@pytest.mark.parametrize("edit", ["return OTHER -> return 0", "OTHER = 4 -> OTHER = 5"])
def test_what_the_script_does_not_reach_does_not_count(digest_of, edit):
    assert not changes(digest_of, USES_F, {"m.py": MODULE}, m=edit)
    assert changes(digest_of, USES_F.replace("import f", "import f, unused"), {"m.py": MODULE}, m=edit)


def test_an_edit_of_the_script_counts(digest_of):
    assert digest_of(USES_F, {"m.py": MODULE}) != digest_of(USES_F + "f()\n", {"m.py": MODULE})


def test_reexports_are_followed_to_their_module(digest_of):
    modules = {
        "sub/__init__.py": "from steering_study.sub.a import f\nfrom steering_study.sub.b import g\n",
        "sub/a.py": "def f():\n    return 1\n",
        "sub/b.py": "def g():\n    return 1\n",
    }
    script = "from steering_study.sub import f\nf()\n"
    assert digest_of(script, modules) != digest_of(
        script, {**modules, "sub/a.py": "def f():\n    return 2\n"}
    )
    assert digest_of(script, modules) == digest_of(
        script, {**modules, "sub/b.py": "def g():\n    return 2\n"}
    )


def test_imports_inside_functions_are_followed(digest_of):
    modules = {
        "m.py": "def f():\n    from steering_study.n import g\n\n    return g()\n",
        "n.py": "def g():\n    return 1\n",
    }
    assert changes(digest_of, USES_F, modules, n="return 1 -> return 2")


def test_a_module_taken_whole_counts_whole(digest_of):
    script = "from steering_study import m\nm.f()\n"
    assert changes(digest_of, script, {"m.py": MODULE}, m="return OTHER -> return 0")


def test_methods_and_what_they_use_count(digest_of):
    module = "class C:\n    def method(self):\n        return helper()\n\n\ndef helper():\n    return 1\n"
    script = "from steering_study.m import C\nC()\n"
    assert changes(digest_of, script, {"m.py": module}, m="return helper() -> return -helper()")
    assert changes(digest_of, script, {"m.py": module}, m="return 1 -> return 2")


def test_base_classes_and_decorators_count(digest_of):
    module = "class Base:\n    x = 1\n\n\ndef keep(c):\n    return c\n\n\n@keep\nclass C(Base):\n    pass\n"
    script = "from steering_study.m import C\nC()\n"
    assert changes(digest_of, script, {"m.py": module}, m="x = 1 -> x = 2")
    assert changes(digest_of, script, {"m.py": module}, m="return c -> return None")


def test_statements_without_a_name_count_with_their_module(digest_of):
    module = MODULE + "\nfor name in ('a',):\n    globals()[name] = 1\n"
    assert changes(digest_of, USES_F, {"m.py": module}, m="globals()[name] = 1 -> globals()[name] = 2")


def test_imports_for_types_alone_do_not_count(digest_of):
    head = "from typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    import torch\n\n\n"
    assert digest_of(USES_F, {"m.py": head + MODULE}) == digest_of(
        USES_F, {"m.py": head.replace("torch", "numpy") + MODULE}
    )


def test_modules_that_import_each_other_end(digest_of):
    modules = {
        "m.py": "from steering_study.n import g\n\n\ndef f():\n    return g\n",
        "n.py": "from steering_study.m import f\n\n\ndef g():\n    return f\n",
    }
    assert digest_of(USES_F, modules)


@pytest.mark.parametrize(
    ("module", "edit"),
    [
        (
            "def f(x):\n    if x:\n        raise ValueError(f'{x} is bad; mend it')\n",
            "is bad; mend it -> will not do",
        ),
        ("def f(x):\n    assert x, 'none here'\n", "none here -> nothing"),
        (
            "import logging\nlogger = logging.getLogger('a')\ndef f(x):\n    logger.info('%d of %d', x, 3)\n",
            "of %d -> from %d",
        ),
    ],
)
def test_what_a_line_says_that_ends_a_job_or_goes_to_its_log_does_not_count(digest_of, module, edit):
    assert not changes(digest_of, USES_F, {"m.py": module}, m=edit)


def test_that_an_error_ends_the_job_counts(digest_of):
    module = "def f(x):\n    if x > 1:\n        raise ValueError(f'{x} is bad')\n"
    assert changes(digest_of, USES_F, {"m.py": module}, m="x > 1 -> x > 2")
    assert changes(digest_of, USES_F, {"m.py": module}, m="raise ValueError(f'{x} is bad') -> pass")


COLUMNS = {
    "store/schema.py": "class Table:\n    pass\n\ndef number(meaning):\n    return meaning\n\ndef integer(meaning):\n    return 0\n",
    "m.py": "from steering_study.store.schema import Table, integer, number\n\nRATES = Table('rates', {'n': integer('texts'), 'asr': number('share')})\n",
}


@pytest.mark.parametrize(
    ("edit", "counts"),
    [
        ("number('share') -> number('share of texts')", False),
        ("'rates' -> 'shares'", True),
        ("'asr': -> 'rate':", True),
        ("integer('texts') -> number('texts')", True),
        ("}) -> , 'low': number('end')})", True),
    ],
)
def test_what_a_column_means_does_not_count_and_what_it_is_does(digest_of, edit, counts):
    script = "from steering_study.m import RATES\nRATES\n"
    assert changes(digest_of, script, COLUMNS, m=edit) is counts


def test_a_table_that_is_taken_by_its_name_counts(digest_of):
    modules = {
        **COLUMNS,
        "n.py": "from steering_study.m import RATES\nfrom steering_study.store.schema import by_name\n\nTABLES = by_name(RATES)\n",
    }
    script = "from steering_study.n import TABLES\nTABLES\n"
    assert changes(digest_of, script, modules, m="'asr': -> 'rate':")
    assert not changes(digest_of, script, modules, m="number('share') -> number('share of texts')")


def test_only_the_functions_that_make_a_column_have_a_meaning_to_leave_out():
    makers = {
        name
        for name, each in vars(schema).items()
        if isfunction(each) and each.__annotations__.get("return") == "Column"
    }
    assert makers == digest.COLUMNS


def test_each_table_is_a_statement_of_its_own(digest_of):
    modules = {"m.py": "ASR = {'n': 1}\nFLIPS = {'n': 1}\n"}
    script = "from steering_study.m import ASR\nASR\n"
    assert changes(digest_of, script, modules, m="ASR = {'n': 1} -> ASR = {'n': 1, 'm': 2}")
    assert not changes(digest_of, script, modules, m="FLIPS = {'n': 1} -> FLIPS = {'n': 1, 'm': 2}")


# The package itself


def scripts_changed_by(
    edit: tuple[str, str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> set[str]:
    """Scripts whose digest changes when a module of the package is edited."""
    module, old, new = edit
    copy = tmp_path / "steering_study"
    shutil.copytree(digest.ROOT, copy, ignore=shutil.ignore_patterns("__pycache__"))
    text = (copy / module).read_text("utf-8")
    assert text.count(old) == 1
    (copy / module).write_text(text.replace(old, new), "utf-8")
    scripts = sorted((ROOT / "workflow/scripts").glob("*/*.py"))
    before = {script.stem: digest.code_digest(script) for script in scripts}
    monkeypatch.setattr(digest, "ROOT", copy)
    return {script.stem for script in scripts if digest.code_digest(script) != before[script.stem]}


def test_an_edited_interval_reruns_the_rules_with_intervals(tmp_path, monkeypatch):
    edit = ("stats.py", 'method="wilson"', 'method="exact"')
    changed = scripts_changed_by(edit, tmp_path, monkeypatch)
    assert {"summarise_steering", "choose_coefficient"} <= changed
    assert not changed & {"generate_base", "judge_responses", "select_direction", "prepare_prompts"}


def rules_that_run_a_model() -> set[str]:
    """Rules that ask for the memory of a model."""
    text = "".join(path.read_text("utf-8") for path in (ROOT / "workflow/rules").glob("*.smk"))
    rules = {rule.split(":")[0]: rule for rule in re.split(r"^rule ", text, flags=re.M)[1:]}
    return {name for name, rule in rules.items() if "mem_mb=memory(" in rule}


NOTE = '        "note": string("why there is no verdict"),\n'
PAGES = {"draw_figures", "write_report", "write_gallery", "write_texts", "describe_run"}
EDITS = {
    "a docstring": ("store/artifacts.py", '"""Write JSON with sorted keys."""', '"""Write JSON."""', set()),
    "a message of a job": (
        "store/job.py",
        "or could not start; run again",
        "or did not start; run again",
        set(),
    ),
    "a message of the decoder": ("models/decoding.py", "shorten it or leave it out", "leave it out", set()),
    "what a column means": (
        "circuits/schemas.py",
        '"sum of logit differences over positions, under the circuit"',
        '"of the circuit"',
        set(),
    ),
    "a new column of claims": (
        "claims/schemas.py",
        f'{NOTE}        "tables"',
        f'{NOTE}        "x": string("x"),\n        "tables"',
        PAGES | {"judge_claims", "average_claims", "write_export"},
    ),
    "a colour of the theme": (
        "drawing/theme.py",
        '"po": "#8c2f86"',
        '"po": "#8c2f87"',
        PAGES | {"draw_circuit_page"},
    ),
    "a circuit's schema": (
        "circuits/schemas.py",
        '        "share_of_edges": number',
        '        "share": number',
        PAGES | {"summarise_circuits", "summarise_circuit_text", "judge_claims", "write_export"},
    ),
}


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_reruns_what_it_can_change_and_no_more(name, tmp_path, monkeypatch):
    module, old, new, may = EDITS[name]
    changed = scripts_changed_by((module, old, new), tmp_path, monkeypatch)
    assert changed <= may
    assert bool(changed) is bool(may)
    assert not changed & rules_that_run_a_model()


def test_what_is_left_out_has_no_number_to_change(tmp_path):
    """`store.job` gives a script its log, its line for bad input and the provenance, which is no part of any table."""
    one, other = tmp_path / "a.parquet", tmp_path / "b.parquet"
    frame = pd.DataFrame({"method_a": ["dim"], "method_b": ["po"], "cosine": [0.5]})
    write_table(one, frame, COSINE, provenance={"rule": "compare_vectors"})
    write_table(other, frame, COSINE, provenance={"rule": "another", "params": {"code": "1"}})
    assert pq.read_table(one).equals(pq.read_table(other))
    for name in digest.LEFT_OUT:
        path = digest.ROOT.joinpath(*name.split(".")[1:]).with_suffix(".py")
        assert not {"torch", "numpy", "pandas"} & set(
            re.findall(r"^(?:import|from) (\w+)", path.read_text("utf-8"), re.M)
        )
    helpers = {"job", "logger"}
    scripts = "".join(path.read_text("utf-8") for path in (ROOT / "workflow/scripts").glob("*/*.py"))
    used = {
        each.strip()
        for line in re.findall(r"steering_study\.store\.job import (.*)", scripts)
        for each in line.split(",")
    }
    assert used <= helpers, "what scripts take from store.job must not compute: it does not count"
