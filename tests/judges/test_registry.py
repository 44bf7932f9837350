import re
import subprocess
import sys
from pathlib import Path

import pytest

from steering_study import judges
from steering_study.judges import JUDGES, ClassifierSettings, build_judge, build_judges, registry
from steering_study.judges.registry import EMBEDDED


def test_the_phrase_judge_is_built_from_its_phrases():
    judge = build_judge("phrases", phrases=["No."])
    assert judge.name == "phrases"
    assert judge.judge(["p"], ["no."])[0].refused


def test_an_unknown_judge_is_named_beside_the_known_and_the_nearest():
    with pytest.raises(
        ValueError, match=r"judge is 'lama_guard2', which is no judge, did you mean 'llama_guard_2'"
    ):
        build_judge("lama_guard2")
    with pytest.raises(
        ValueError, match=r"which is no judge, known: phrases, declines, llama_guard_2, .*kinds/xyz\.py"
    ):
        build_judge("xyz")


def test_a_judge_without_what_it_needs_is_an_error():
    with pytest.raises(ValueError, match=r"resources/refusal_phrases\.yaml"):
        build_judge("phrases")
    with pytest.raises(ValueError, match=r"resources/judges/declines\.csv"):
        build_judge("declines")
    with pytest.raises(ValueError, match="'minos' got no settings"):
        build_judge("minos")


def test_every_name_has_its_judge():
    from steering_study.judges.classifiers import CLASSIFIERS

    assert set(JUDGES) == {*EMBEDDED, *CLASSIFIERS}
    assert EMBEDDED == ("phrases", "declines")
    assert all(CLASSIFIERS[name].name == name for name in CLASSIFIERS)


@pytest.mark.parametrize(
    ("batch_size", "threshold", "said"), [(0, 0.5, "batch_size=0"), (1, 1.0, "threshold=1.0")]
)
def test_settings_outside_their_range_are_errors(batch_size, threshold, said):
    with pytest.raises(ValueError, match=said):
        ClassifierSettings(
            model=None,
            revision=None,
            dtype="float32",
            device="cpu",
            batch_size=batch_size,
            threshold=threshold,
        )


def test_phrases_and_degenerate_texts_are_judged_without_torch():
    code = (
        "import sys; import steering_study.judges, steering_study.judges.phrases, steering_study.judges.degenerate; "
        "sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


DOCS = Path(__file__).parents[2] / "docs/judges.md"


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A folder for judges of a user's own, which the package finds."""
    folder = tmp_path / "kinds"
    folder.mkdir()
    monkeypatch.setattr(registry, "KINDS", folder)
    monkeypatch.setattr(judges, "__path__", [*judges.__path__, str(tmp_path)])
    yield folder
    for name in [name for name in sys.modules if name.startswith("steering_study.judges.kinds")]:
        del sys.modules[name]


def test_the_judge_that_the_docs_add_is_one_file(own):
    (source,) = re.findall(r"```python\n(.*?)```", DOCS.read_text("utf-8"), re.S)
    (own / Path(source.splitlines()[0]).name).write_text(source, "utf-8")
    assert registry.own_judges() == ["openings"]
    (judge,) = build_judges(["openings"], phrases=["never"], weights={}, classifiers={}).values()
    verdicts = judge.judge(["p", "p"], ["I cannot say.", "Sure. I cannot stay."])
    assert [verdict.refused for verdict in verdicts] == [True, False]


@pytest.mark.parametrize("source", ["", "def build():\n    return 3\n"])
def test_a_file_that_makes_no_judge_is_named(own, source):
    (own / "mine.py").write_text(source, "utf-8")
    with pytest.raises(ValueError, match=r"kinds/mine\.py gives .*, expected a function build\(\)"):
        build_judge("mine")


def test_every_setting_of_the_config_reaches_its_classifier():
    given = {"source": "a", "revision": "b", "dtype": "float16", "batch_size": 3, "threshold": 0.2}
    given |= {"base_model": "c", "base_revision": "d"}
    found = vars(registry._settings(given))
    assert found.pop("device")
    assert found == {"model": "a", **{name: value for name, value in given.items() if name != "source"}}


def test_each_judge_is_built_once_with_its_own_settings():
    found = build_judges(
        ["phrases", "declines", "phrases"],
        phrases=["no way"],
        weights={"offset": 1.0},
        classifiers={"minos": {"source": "nowhere"}},
    )
    assert list(found) == ["declines", "phrases"]
    assert found["declines"].judge(["p"], ["a"])[0].refused
    assert found["phrases"].judge(["p"], ["No way!"])[0].refused
