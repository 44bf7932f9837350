import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
from tests.conftest import REPOSITORY

from steering_study.report.exhibits import FACTS, FIGURES, LEADS, MAKERS, TABLES
from steering_study.report.frames import read_frame
from steering_study.report.sections import read_report, section_file

STEERING = section_file(REPOSITORY / "workflow/report/report.yaml", "steering")
HOSTILE = '<script>alert("prompt")</script> & <b>bold</b>'


@pytest.fixture(scope="module")
def section(drawn_study):
    return read_report(drawn_study.sections).section("steering")


@pytest.fixture
def arguments(drawn_study, section, arguments_of):
    return arguments_of(drawn_study, section)


@pytest.fixture
def script(load_script):
    return load_script("draw_figures")


def digests(paths: list[Path]) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def test_every_frame_and_figure_is_written(arguments):
    for path in [*arguments["frames"], *arguments["figures"]]:
        assert path.stat().st_size > 50, path


def test_a_second_run_writes_the_same_bytes(arguments, script, tmp_path):
    again = {
        **arguments,
        "frames": [tmp_path / path.name for path in arguments["frames"]],
        "figures": [tmp_path / path.name for path in arguments["figures"]],
    }
    script.main(STEERING, **again)
    for kind in ("frames", "figures"):
        assert digests(again[kind]) == digests(arguments[kind])


def test_figures_tell_no_date_and_no_version(arguments):
    for path in arguments["figures"]:
        content = path.read_bytes()
        assert not [word for word in (b"Date", b"matplotlib.org", b"Matplotlib v") if word in content], path


def test_no_temporary_file_stays(drawn_study):
    assert [path for path in (drawn_study.root / "reports").rglob(".*")] == []


def test_every_section_has_its_functions(drawn_study):
    for section in read_report(drawn_study.sections).sections:
        assert all(section.name in known for known in (MAKERS, LEADS, FACTS))
        assert {figure.name for figure in section.figures} <= set(FIGURES)
        assert {each.name for each in section.exhibits} - {each.name for each in section.figures} <= set(
            TABLES
        )


def test_frames_hold_both_models_and_keep_texts_as_they_are(arguments):
    examples = read_frame(next(p for p in arguments["frames"] if p.stem == "examples"), frame="examples")
    assert list(examples["model"].unique()) == list(arguments["models"])
    assert HOSTILE in set(examples["prompt"])


def test_a_figure_that_the_section_lacks_is_refused(arguments, script, tmp_path):
    with pytest.raises(ValueError, match=r"section 'steering' has no faithfulness\.svg; expected asr"):
        script.main(STEERING, **{**arguments, "figures": [tmp_path / "faithfulness.svg"], "frames": []})
    assert list(tmp_path.iterdir()) == []


def test_one_model_is_enough(drawn_study, section, arguments_of, script, tmp_path):
    alone = replace(drawn_study, models=drawn_study.models[:1])
    given = {**arguments_of(alone, section), "frames": [], "figures": [tmp_path / "asr.svg"]}
    script.main(STEERING, **given)
    assert (tmp_path / "asr.svg").exists()


def test_a_model_alone_has_its_own_figure(arguments, script, tmp_path):
    given = {**arguments, "frames": [], "figures": []}

    def own(model: str) -> list[dict]:
        return [{"figure": "asr", "model": model, "method": "", "paths": [tmp_path / model / "asr.svg"]}]

    for model in arguments["models"]:
        script.main(STEERING, **{**given, "own": own(model)})
    sizes = {model: (tmp_path / model / "asr.svg").stat().st_size for model in arguments["models"]}
    both = next(path for path in arguments["figures"] if path.name == "asr.svg").stat().st_size
    assert all(1000 < size < both for size in sizes.values())


def test_a_model_without_rows_gets_words(arguments, script, tmp_path):
    own = [{"figure": "asr", "model": "another", "method": "", "paths": [tmp_path / "asr.svg"]}]
    script.main(STEERING, **{**arguments, "frames": [], "figures": [], "own": own})
    assert (tmp_path / "asr.svg").stat().st_size > 1000
