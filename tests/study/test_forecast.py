"""What a run says before it starts."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from steering_study.study import forecast
from steering_study.study.forecast import describe_plan

SCRIPTS = Path(__file__).parents[2] / "workflow/scripts"


@pytest.fixture(autouse=True)
def measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Times by hand: one rule of two minutes, one of one; two jobs side by side at most."""
    table = {
        "models": ["small"],
        "parallel": 2,
        "disk_mb": 30,
        "targets": ["all"],
        "seconds": {"long": 120, "short": 60},
    }
    (tmp_path / "measured.yaml").write_text(yaml.safe_dump(table))
    monkeypatch.setattr(forecast, "MEASURED", tmp_path / "measured.yaml")


def plan(*jobs: str, models: tuple[str, ...] = ("small",), cores: int | None = 2) -> str:
    return "\n".join(describe_plan(jobs, models=models, cores=cores))


def test_minutes_are_those_of_the_jobs_over_the_cores():
    assert "This run: 4 jobs for small." in plan("long", "long", "short", "short")
    assert "about 3 min on 2 cores" in plan("long", "long", "short", "short")
    assert "about 6 min on 1 cores" in plan("long", "long", "short", "short", cores=1)


def test_more_cores_than_jobs_side_by_side_do_not_help():
    assert "about 3 min on 64 cores" in plan("long", "long", "short", "short", cores=64)


def test_short_run_is_a_minute():
    assert "about 1 min" in plan("short")


def test_targets_that_run_nothing_are_no_jobs():
    assert "This run: 1 jobs" in plan("short", "all")


def test_no_time_is_told_for_a_model_that_was_not_measured():
    text = plan("long", models=("small", "large"))
    assert "1 jobs for small, large" in text
    assert "No time was measured" in text
    assert "min on" not in text


def test_no_time_is_told_for_a_cluster():
    text = plan("long", cores=None)
    assert "1 jobs for small" in text
    assert "No time was measured for these jobs on a cluster" in text


def test_nothing_to_do_says_nothing():
    assert plan() == ""


def test_every_measured_rule_of_the_repository_has_a_script():
    path = Path(forecast.__file__).parents[2] / "report/measured_seconds.yaml"
    rules = yaml.safe_load(path.read_text("utf-8"))["seconds"]
    # a rule of a section of the report bears its name: draw_figures_steering
    scripts = [script.stem for script in SCRIPTS.glob("*/*.py")]
    assert [rule for rule in rules if not rule.startswith(tuple(scripts))] == []
