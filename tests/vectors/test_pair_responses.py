"""Contrast pairs that are too few to learn from are one line."""

from __future__ import annotations

import pandas as pd
import pytest
from tests.tables import TABLES, filled

from steering_study.store.artifacts import read_table, write_table
from steering_study.vectors.schemas import PAIRS

ROWS = [(split, label) for split in ("train", "validation") for label in ("harmful", "harmless")]


@pytest.fixture
def pair(load_script, tmp_path):
    """Run the script on a prompt of each split and label, of which some are answered as before under steering."""

    def run(*unchanged: tuple[str, str]) -> pd.DataFrame:
        base = pd.DataFrame(ROWS, columns=["split", "label"]).assign(
            prompt_id=lambda rows: rows["split"] + rows["label"],
            method="none",
            refused=lambda rows: rows["label"] == "harmful",
        )
        stays = [row in unchanged for row in ROWS]
        steered = base.assign(method="dim", refused=base["refused"].where(stays, ~base["refused"]))
        files = {}
        for name, rows in (("base", base), ("contrast", steered)):
            files[name] = (tmp_path / f"{name}_responses.parquet", tmp_path / f"{name}_verdicts.parquet")
            for path, table in zip(files[name], ("responses", "verdicts"), strict=True):
                write_table(path, filled(table, rows), TABLES[table])
        pairs = tmp_path / "pairs.parquet"
        load_script("pair_responses").main(**files, max_tokens=4, pairs=pairs, provenance={})
        return read_table(pairs, PAIRS)

    return run


def test_every_prompt_that_steering_turns_gives_a_pair(pair):
    assert pair()["kept"].all()


@pytest.mark.parametrize(
    ("split", "label", "said"),
    [
        ("train", "harmful", "no harmful training prompt gives a contrast pair"),
        ("validation", "harmless", "no harmless validation prompt gives a contrast pair"),
    ],
)
def test_a_split_without_a_pair_of_a_label_is_named_with_its_reasons(pair, split, label, said):
    with pytest.raises(
        ValueError, match=said + r": .*desired response still \w+.: 1.; .*DIM vector that steers"
    ):
        pair((split, label))
