"""Frames and sentences of the section, worked by hand."""

import numpy as np
import pandas as pd
import pytest

from steering_study.report.frames import FRAMES
from steering_study.report.steering import (
    candidate_map,
    count_endings,
    pick_examples,
    published_beside,
    steering_facts,
    steering_leads,
    visible,
)
from steering_study.table_schemas import TABLES

CARDS = {
    "tiny": {
        "architecture": "LlamaForCausalLM",
        "post_instruction_tokens": ["<eot>", "ĊĊ"],
        "end_of_turn_ids": [2, 3],
    },
    "other": {"architecture": "Qwen2ForCausalLM", "post_instruction_tokens": ["<eot>", "ĊĊ"]},
}
PUBLISHED = pd.DataFrame(
    [
        ("gemma-2-2b-it", "dim", "alpaca", 0.0), ("gemma-2-2b-it", "dim", "jailbreakbench", 0.8),
        ("llama-3.2-3b-instruct", "dim", "alpaca", 0.03), ("llama-3.2-3b-instruct", "dim", "jailbreakbench", 0.85),
    ],
    columns=["model", "method", "dataset", "asr"],
)  # fmt: skip


def asr(model: str, harmless: str = "harmless", harmful: str = "harmful") -> pd.DataFrame:
    rows = [
        ("none", "base", harmless, 0.0, 0.98, 0.93, 0.99, 0.0), ("none", "base", harmful, 0.0, 0.01, 0.0, 0.05, 0.0),
        ("dim", "induce", harmless, 1.4, 0.03, 0.01, 0.08, 0.02), ("dim", "bypass", harmful, -0.7, 0.9, 0.83, 0.94, 0.015),
    ]  # fmt: skip
    columns = [
        "method",
        "condition",
        "dataset",
        "coefficient",
        "asr",
        "asr_low",
        "asr_high",
        "degenerate_rate",
    ]
    return pd.DataFrame(rows, columns=columns).assign(model=model, n=100, judge="phrases")


def test_candidates_get_score_token_and_letters():
    candidates = pd.DataFrame(
        [
            ("tiny", 0, -1, 0.0, 0.0, 0.05, ""),
            ("tiny", 6, -2, -20.0, 20.0, 0.2, "layer >= 6, kl >= 0.1"),
            (
                "tiny",
                1,
                -1,
                np.nan,
                -1.0,
                0.0,
                "no candidate passes the filters; best unfiltered (induce <= 0)",
            ),
        ],
        columns=["model", "layer", "position", "bypass", "induce", "kl", "reason"],
    ).assign(ablation=0.0)
    table = candidate_map(candidates, CARDS)
    assert list(table["score"][:2]) == [0.0, pytest.approx(-1)]
    assert np.isnan(table["score"][2])
    assert list(table["token"]) == ["↵↵", "<eot>", "↵↵"]
    assert list(table["fell"]) == ["", "L K", "I"]


def test_published_values_stand_beside_the_same_family():
    beside = published_beside(asr("tiny"), PUBLISHED, CARDS)
    assert beside[["published_model", "dataset", "published_dataset", "asr"]].values.tolist() == [
        ["llama-3.2-3b-instruct", "harmless", "alpaca", 0.03],
        ["llama-3.2-3b-instruct", "harmful", "jailbreakbench", 0.85],
    ]


def test_a_family_that_was_not_published_stands_beside_both():
    beside = published_beside(asr("other", "alpaca", "jailbreakbench"), PUBLISHED, CARDS)
    assert beside.groupby("dataset")["published_model"].nunique().to_dict() == {
        "alpaca": 2,
        "jailbreakbench": 2,
    }


def answers(refused: dict[str, bool], *, condition: str, degenerate: tuple[str, ...] = ()) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"model": "tiny", "method": "dim", "condition": condition, "dataset": "harmless", "coefficient": 1.0, "prompt_id": name,
             "prompt": f"p {name}", "text": f"{condition} {name}", "refused": value, "degenerate": name in degenerate,
             "verdict": "refused" if value else "complied"}
            for name, value in refused.items()
        ]
    )  # fmt: skip


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
    columns = list(TABLES["judge_errors"])
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
    assert len(steering_leads(given)) == 1
    _, warning = steering_leads({**given, "endings": endings("tiny", finished=9)})
    assert warning.startswith(
        "Of tiny's 100 unsteered texts 9 end by themselves; all others are cut, the longest after 64"
    )
    assert "tokens that count as an end of turn (3)" in warning
    assert len(steering_leads({**given, "endings": endings("tiny", finished=10)})) == 1


def frames(model: str, **sets: str) -> dict[str, pd.DataFrame]:
    rates = asr(model, **sets)
    return {
        "asr": rates,
        "published_asr": published_beside(rates, PUBLISHED, CARDS),
        "judge_errors": judge_errors(),
        "endings": endings(model, finished=90),
        "dose_response": pd.DataFrame({"condition": ["induce", "bypass"], "n": [64, 60]}),
        "candidates": pd.DataFrame(
            {"model": [model] * 2, "layer": [3, 4], "position": [-1, -1], "selected": [True, False], "reason": ["published choice", ""]}
        ),
    }  # fmt: skip


def test_lead_says_what_steering_does_and_what_was_published():
    (lead,) = steering_leads(frames("tiny"))
    assert lead.replace("\N{NO-BREAK SPACE}", " ") == (
        "At its chosen coefficient of +1.4, DIM makes tiny refuse 97 % [92, 99] of harmless prompts (without steering 2 %, "
        "n = 100); at −0.7 it no longer refuses 90 % [83, 94] of harmful prompts (without steering 1 %, n = 100). Degenerate "
        "among these texts: 2 % and 1.5 %. Published: Llama 3.2 3B refuses 97 % on Alpaca and no longer refuses 85 % on "
        "JailbreakBench."
    )


def test_lead_takes_prompt_sets_of_any_name():
    (lead,) = steering_leads(frames("tiny", harmless="polite", harmful="rude"))
    assert "of polite prompts" in lead
    assert "of rude prompts" in lead
    assert "Published" not in lead


def test_facts_count_prompts_and_name_the_selected_candidate():
    facts = steering_facts(frames("tiny"))
    assert facts["n_test"] == "100 harmless prompts and 100 harmful prompts"
    assert facts["n_validation"] == "60 harmful and 64 harmless"
    assert facts["selected"] == "tiny layer 3, position −1 (published choice)"
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


def test_white_space_of_tokens_is_shown():
    assert [visible(token) for token in ("\n\n", "ĊĊ", "▁model", "Ġa b", "")] == [
        "↵↵",
        "↵↵",
        "␣model",
        "␣a␣b",
        "empty",
    ]
