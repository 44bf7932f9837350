import getpass
import platform
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

from steering_study.report.run.setting import (
    config_lines,
    gpus,
    machine,
    packages,
    processor,
    without_folders,
)

ROOT = Path(__file__).parents[2]


def test_lines_are_the_config_and_differences_are_marked():
    default = {"a": 1, "b": {"c": [1, 2], "d": None}, "kept": {"x": 0}}
    config = {"a": 1, "b": {"c": [1], "d": None, "new": True}, "kept": {"x": 0}}
    lines = config_lines(config, default)
    assert [(line.key, line.default) for line in lines if line.changed] == [("c", "[1, 2]"), ("new", "")]
    assert [(line.depth, line.key, line.value) for line in lines][:3] == [
        (0, "a", "1"),
        (0, "b", ""),
        (1, "c", "[1]"),
    ]


def test_lines_keep_the_order_of_the_default():
    lines = config_lines({"new": 0, "b": 1, "a": 2}, {"a": 2, "gone": 3, "b": 1})
    assert [line.key for line in lines] == ["a", "b", "new"]


def test_lines_are_yaml_that_says_the_same():
    config = yaml.safe_load((ROOT / "config/study.yaml").read_text("utf-8"))
    lines = config_lines(config, config)
    text = "\n".join(f"{'  ' * line.depth}{line.key}: {line.value}" for line in lines)
    assert yaml.safe_load(text) == config
    assert [line for line in lines if line.changed] == []


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("/somewhere/models/mine", "…/mine"),
        ("file:///somewhere/mirror/", "…/mirror"),
        ("~/models/mine", "…/mine"),
        ({"a": ["/x/y", 1]}, {"a": ["…/y", 1]}),
        ("resources/models/pocket-llama", "resources/models/pocket-llama"),
        ("google/gemma-2-2b-it", "google/gemma-2-2b-it"),
        (None, None),
    ],
)
def test_absolute_paths_are_cut(value, shown):
    assert without_folders(value) == shown


def test_packages_stand_beside_what_is_asked_for():
    text = "# Tables\npandas==0.0.1   # tables\npyright[nodejs]==1.0\nno-such-package-here==2.0\n"
    found = {package.name: package for package in packages(text)}
    assert list(found) == ["pandas", "pyright", "no-such-package-here"]
    assert (found["pandas"].installed, found["pandas"].purpose) == (version("pandas"), "tables")
    assert found["pandas"].differs
    assert found["no-such-package-here"].installed == ""


def test_a_build_is_no_other_version():
    asked = version("torch").partition("+")[0]
    assert not packages(f"torch=={asked}\n")[0].differs


def test_every_requirement_is_read():
    text = (ROOT / "envs/requirements.in").read_text("utf-8")
    assert len(packages(text)) == text.count("==")


def test_machine_names_nobody():
    words = dict(machine(n_gpus=0))
    assert words["Python"].endswith(platform.python_version())
    text = " ".join(words.values())
    assert platform.node() not in text.split()
    assert getpass.getuser() not in text.split()
    assert str(Path.home()) not in text


def test_processor_and_gpus_by_what_the_system_says(tmp_path):
    (tmp_path / "cpuinfo").write_text(
        "processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\nprocessor\t: 1\nmodel name\t: Some CPU @ 2 GHz\n"
    )
    assert processor(tmp_path / "cpuinfo") == "Some CPU @ 2 GHz"
    assert processor(tmp_path / "nothing")
    for place in "01":
        (tmp_path / place).mkdir()
        (tmp_path / place / "information").write_text("Model: \t\t NVIDIA H100\nIRQ: 1\n")
    assert gpus(2, tmp_path) == "2 × NVIDIA H100"
    assert gpus(1, tmp_path / "nothing") == "1 of unknown model"
    assert gpus(0, tmp_path / "nothing") == "none"
