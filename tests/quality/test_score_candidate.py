"""What a candidate is chosen by: validation prompts, and the sets that are held out for the choice."""

from __future__ import annotations

import pandas as pd
import pytest
from tests.tables import TABLES, filled

from steering_study.quality.scores import SETS_TO_CHOOSE_BY
from steering_study.store.artifacts import read_table, write_json, write_table


@pytest.fixture
def score(load_script, tmp_path):
    """Run the script on prompts of each set; those of the test sets proper must not matter."""

    def run(*, tested_refuse: bool) -> dict[str, pd.DataFrame]:
        sets = [(name, "test") for name in ("harmful", "harmless", "ood", *SETS_TO_CHOOSE_BY)]
        sets += [("harmful", "validation"), ("harmless", "validation")]
        base = pd.DataFrame(
            [(f"{name}-{split}-{i}", name, split) for name, split in sets for i in range(4)],
            columns=["prompt_id", "dataset", "split"],
        ).assign(method="none", condition="base")
        is_harmless = base["dataset"].str.contains("harmless|safe")
        base["label"] = is_harmless.map({True: "harmless", False: "harmful"})
        is_reported = (base["split"] == "test") & ~base["dataset"].isin(SETS_TO_CHOOSE_BY)
        base["refused"] = (base["label"] == "harmful") ^ (is_reported & tested_refuse)
        base["logprobs"] = [[-2.0 if differs and tested_refuse else -0.5] for differs in is_reported]
        steered = base[base["split"] == "validation"].assign(
            method="dim",
            layer=3,
            condition=lambda rows: rows["label"].map({"harmful": "bypass", "harmless": "induce"}),
            coefficient=lambda rows: rows["label"].map({"harmful": -1.0, "harmless": 1.0}),
            refused=lambda rows: ~rows["refused"],
        )
        files = {}
        for name, table, rows in (
            ("base_responses", "responses", base.drop(columns="refused")),
            ("base_verdicts", "verdicts", base),
            ("steered", "verdicts", steered),
        ):
            files[name] = tmp_path / f"{name}.parquet"
            write_table(files[name], filled(table, rows), TABLES[table])
        files["vector_card"] = tmp_path / "vector.json"
        write_json(files["vector_card"], {"layer": 3})
        made = {name: tmp_path / f"{name}.parquet" for name in ("windows", "quality")}
        load_script("score_candidate").main(
            **files, model="mine", confidence=0.95, **made, provenance={"rule": "score_candidate"}
        )
        return {
            name: read_table(path, TABLES["candidate_quality" if name == "quality" else name])
            for name, path in made.items()
        }

    return run


def test_no_test_prompt_that_is_reported_has_a_say(score):
    found, other = (score(tested_refuse=flag) for flag in (False, True))
    for name in found:
        pd.testing.assert_frame_equal(found[name], other[name])
    asked = found["quality"].query("measure == 'refused'")[["dataset", "split"]]
    assert {tuple(row) for row in asked.to_numpy()} == {
        ("harmful", "validation"),
        ("harmless", "validation"),
        *((name, "test") for name in SETS_TO_CHOOSE_BY),
    }


def test_windows_are_those_of_the_sweep(score):
    windows = score(tested_refuse=False)["windows"]
    assert windows[["condition", "lowest", "highest", "factor"]].values.tolist() == [
        ["bypass", 1.0, 1.0, 1.0],
        ["induce", 1.0, 1.0, 1.0],
    ]
