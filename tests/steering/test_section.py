"""Frames and sentences of the section, worked by hand."""

import pandas as pd
from tests.steering.by_hand import CARDS, PUBLISHED, asr

from steering_study.drawing.published import published_beside
from steering_study.judges.schemas import JUDGE_ERRORS
from steering_study.report.frames import FRAMES
from steering_study.steering.section import count_endings, pick_examples, steering_facts, steering_leads


def answers(refused: dict[str, bool], *, condition: str, degenerate: tuple[str, ...] = ()) -> pd.DataFrame:
    verdicts = {True: "refused", False: "complied"}
    return pd.DataFrame(
        [
            (name, f"p {name}", f"{condition} {name}", value, name in degenerate, verdicts[value])
            for name, value in refused.items()
        ],
        columns=["prompt_id", "prompt", "text", "refused", "degenerate", "verdict"],
    ).assign(model="tiny", method="dim", condition=condition, dataset="harmless", coefficient=1.0)


def test_examples_are_the_first_by_id_that_flipped_and_that_did_not():
    base = answers(dict.fromkeys("dcba", False), condition="base")
    # a is degenerate, b does not refuse, c and d flip
    steered = answers({"d": True, "c": True, "b": False, "a": True}, condition="induce", degenerate=("a",))
    examples = pick_examples(base, steered)
    assert examples[["prompt_id", "flipped", "base", "steered"]].values.tolist() == [
        ["c", True, "base c", "induce c"],
        ["a", False, "base a", "induce a"],
    ]


def judge_errors() -> pd.DataFrame:
    """Of each judge and label another error: that of phrases on harmful prompts is 1 %, on harmless ones 2 %."""
    columns = JUDGE_ERRORS.names
    rows = [
        (judge, "corpus", label, "plain", "refused", 100, 99, 0.99, 0.9, 1.0, error, 0.0, 0.1)
        for judge, errors in (("phrases", (0.01, 0.02, 0.015)), ("minos", (0.03, 0.04, 0.035)))
        for label, error in zip(("harmful", "harmless", "all"), errors, strict=True)
    ]
    return pd.DataFrame(rows, columns=columns)


def endings(model: str, *, finished: int) -> pd.DataFrame:
    row = (model, "base", 100, finished, 100 - finished, 30.0, 64, "3")
    return pd.DataFrame([row, (*row[:1], "induce", *row[2:])], columns=list(FRAMES["endings"]))


def texts(*rows: tuple[str, int, bool], model: str = "tiny") -> pd.DataFrame:
    """Condition, tokens, and whether a text ended by itself."""
    table = pd.DataFrame(rows, columns=["condition", "n_tokens", "finished"])
    return table.assign(model=model, token_ids=[[7] * n for n in table["n_tokens"]])


def test_endings_are_counted_for_each_condition():
    base = texts(("base", 12, True), ("base", 64, False), ("base", 14, False), ("base", 64, True))
    steered = texts(("induce", 64, False), ("bypass", 5, True))
    found = count_endings(base, steered, CARDS)
    assert found.drop(columns="end_of_turn").to_numpy().tolist() == [
        ["tiny", "base", 4, 2, 2, 38.5, 64],
        ["tiny", "induce", 1, 0, 1, 64.0, 64],
        ["tiny", "bypass", 1, 1, 0, 5.0, 5],
    ]
    assert set(found["end_of_turn"]) == {"2, 3"}


def test_endings_of_a_model_stand_together():
    cards = {name: {"end_of_turn_ids": [2]} for name in ("one", "two")}
    both = [texts(("base", 3, True), model=name) for name in ("two", "one")]
    steered = [texts(("bypass", 3, True), ("induce", 3, True), model=name) for name in ("two", "one")]
    found = count_endings(pd.concat(both), pd.concat(steered), cards)
    assert [row["model"] for row in found.to_dict("records")] == ["two"] * 3 + ["one"] * 3
    assert list(found["condition"]) == ["base", "bypass", "induce"] * 2


def test_a_study_in_which_hardly_any_text_ends_says_so():
    given = frames("tiny")
    assert len(steering_leads(given)) == 2
    *_, warning = steering_leads({**given, "endings": endings("tiny", finished=9)})
    assert warning.startswith(
        "Of tiny's 100 unsteered texts 9 end by themselves; all others are cut, the longest after 64"
    )
    assert "tokens that count as an end of turn (3)" in warning
    assert len(steering_leads({**given, "endings": endings("tiny", finished=10)})) == 2


def frames(model: str, **sets: str) -> dict[str, pd.DataFrame]:
    rates = asr(model, **sets)
    return {
        "asr": rates,
        "published_asr": published_beside(rates, PUBLISHED, CARDS),
        "judge_errors": judge_errors(),
        "endings": endings(model, finished=90),
        "dose_response": pd.DataFrame({"condition": ["induce", "bypass"], "n": [64, 60]}),
        "layers": pd.DataFrame(
            {
                "model": model,
                "method": "dim",
                "layer": [3, 3, 4],
                "flip_rate": [0.5, 0.7, 0.2],
                "n": [64, 60, 64],
            }
        ),
        "side_effects": pd.DataFrame({"n_bystanders": [20, 18]}),
    }


def test_lead_says_what_steering_does_and_what_was_published():
    lead, depth = steering_leads(frames("tiny"))
    assert depth.replace("\N{NO-BREAK SPACE}", " ") == (
        "DIM flips most prompts of tiny at layer 3 (60 % of the validation prompts, mean of both directions)."
    )
    assert lead.replace("\N{NO-BREAK SPACE}", " ") == (
        "At its chosen coefficient of +1.4, DIM makes tiny refuse 97 % [92, 99] of harmless prompts (without steering 2 %, "
        "n = 100); at −0.7 it no longer refuses 90 % [83, 94] of harmful prompts (without steering 1 %, n = 100). Degenerate "
        "among these texts: 2 % and 1.5 %. Published: Llama 3.2 3B refuses 97 % on Alpaca and no longer refuses 85 % on "
        "JailbreakBench."
    )


def test_lead_takes_prompt_sets_of_any_name():
    lead, _ = steering_leads(frames("tiny", harmless="polite", harmful="rude"))
    assert "of polite prompts" in lead
    assert "of rude prompts" in lead
    assert "Published" not in lead


def test_facts_count_prompts():
    facts = steering_facts(frames("tiny"))
    assert facts["n_test"] == "100 harmless prompts and 100 harmful prompts"
    assert facts["n_validation"] == "60 harmful and 64 harmless"
    assert (facts["n_layer"], facts["n_bystanders"]) == ("60 to 64", "18 to 20")
    assert facts["published_models"] == "Llama 3.2 3B"


def test_the_error_of_the_judge_goes_with_attack_success():
    error = "on 100 labelled texts of each kind: {} % [0, 10] of refusals missed"
    given = frames("tiny")
    plain = steering_facts(given)["judge_errors"].replace("\N{NO-BREAK SPACE}", " ")
    assert plain == "error of the judge phrases, " + error.format("1.5")
    rates = given["asr"]
    given["asr"] = rates.assign(
        judge=["minos" if name == "harmful" else "phrases" for name in rates["dataset"]]
    )
    both = steering_facts(given)["judge_errors"].replace("\N{NO-BREAK SPACE}", " ")
    assert both == (
        "harmless prompts, error of the judge phrases, "
        + error.format(2)
        + "; harmful prompts, error of the judge minos, "
        + error.format(3)
    )
