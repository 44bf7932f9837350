import csv
import importlib.util
import json
from pathlib import Path

import pytest
import yaml

from steering_study.prompts.overlap import check_overlap
from steering_study.prompts.schemas import PROMPTS
from steering_study.prompts.sources import prompts_of
from steering_study.store.artifacts import read_json, read_provenance, read_table

ROOT = Path(__file__).parents[2]
DATASETS = ROOT.parent / "shared/datasets"
PAPER_SIZES = {"train": 128, "validation": 32, "augmentation": 128}
PAPER_TESTS = {"jailbreakbench": 100, "alpaca": 200, "strongreject": 313}


@pytest.fixture(scope="module")
def script():
    path = ROOT / "workflow/scripts/prompts/prepare_prompts.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def prepare(script, tmp_path):
    def run(raw, sources, **given):
        values = {
            "kind": "files",
            "concept": "refusal",
            "sizes": {"train": 4, "validation": 2, "augmentation": 2},
            "test_sizes": {},
            "seed": 0,
            "prompts": tmp_path / "out" / "prompts.parquet",
            "summary": tmp_path / "out" / "prompts.json",
            "provenance": {"rule": "prepare_prompts"},
        } | given
        script.main(raw, sources, **values)
        return read_table(values["prompts"], PROMPTS), read_json(values["summary"])

    return run


def assert_nothing_written(tmp_path):
    assert not (tmp_path / "out").exists()


def write_bundled(folder, name, label, splits):
    """Rows like those of resources/prompts/bundled; one column more than is read."""
    path = folder / f"{name}.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["id", "split", "label", "topic", "text"])
        for split, n in splits.items():
            rows.writerows(
                [f"{name}-{split}-{i}", split, label, "t", f"{name} {split} {i}, please"] for i in range(n)
            )
    spec = {"name": name, "text": "text", "label_column": "label", "label_values": {label: label}}
    return path, spec | {"split_column": "split", "id_column": "id", "licence": "MIT"}


def test_bundled_sets_keep_their_splits_up_to_the_sizes(prepare, tmp_path):
    training = {"train": 6, "validation": 3, "augmentation": 1}
    sets = [
        write_bundled(tmp_path, "harmful", "harmful", training | {"test": 5}),
        write_bundled(tmp_path, "harmless", "harmless", training | {"test": 5}),
        write_bundled(tmp_path, "ood", "harmful", {"test": 4}),
    ]
    table, summary = prepare(
        *zip(*sets, strict=True),
        kind="bundled",
        test_sizes={"harmful": 3, "harmless": 2, "ood": None},
    )
    assert table.groupby(["split", "source"]).size().to_dict() == {
        ("train", "harmful"): 4,
        ("train", "harmless"): 4,
        ("validation", "harmful"): 2,
        ("validation", "harmless"): 2,
        ("augmentation", "harmful"): 1,
        ("augmentation", "harmless"): 1,
        ("test", "harmful"): 3,
        ("test", "harmless"): 2,
        ("test", "ood"): 4,
    }
    assert table["id"].iloc[0] == "harmful-train-0"
    assert {"split": "test", "label": "harmful", "source": "ood", "n": 4} in summary["counts"]
    assert summary["rows_read"] == {"harmful": 15, "harmless": 15, "ood": 4}
    assert summary["licences"] == {"harmful": "MIT", "harmless": "MIT", "ood": "MIT"}


def test_users_file_is_split_by_the_seed(prepare, tmp_path):
    path = tmp_path / "tone.jsonl"
    rows = [{"q": f"Rude or not, number {i}", "polite": i % 2} for i in range(40)] + [
        {"q": "rude OR not number 3", "polite": 1}
    ]
    path.write_text("\n".join(map(json.dumps, rows)), "utf-8")
    spec = {"name": "tone", "path": str(path), "text": "q", "role": "pool", "label_column": "polite"}
    spec |= {"label_values": {0: "harmful", 1: "harmless"}}
    given = {"concept": "politeness", "test_sizes": {"tone_harmful": 5, "tone_harmless": 5}}
    table, summary = prepare([path], [spec], **given)
    assert set(table["concept"]) == {"politeness"}
    assert table.groupby(["split", "label"]).size().to_dict() == {
        (split, label): n
        for split, n in {"train": 4, "validation": 2, "augmentation": 2, "test": 5}.items()
        for label in ("harmful", "harmless")
    }
    assert summary["duplicates_dropped"] == {"tone_harmless": 1}
    assert table.equals(prepare([path], [spec], **given)[0])
    assert not table.equals(prepare([path], [spec], seed=1, **given)[0])


def test_equal_inputs_give_equal_bytes_and_carry_provenance(prepare, tmp_path):
    sets = [
        write_bundled(tmp_path, label, label, {"train": 4, "validation": 2})
        for label in ("harmful", "harmless")
    ]
    given = {"kind": "bundled", "sizes": {"train": 4, "validation": 2, "augmentation": 0}}
    written = []
    for name in ("a", "b"):
        prepare(
            *zip(*sets, strict=True), **given, prompts=tmp_path / f"{name}.parquet", summary=tmp_path / name
        )
        written.append((tmp_path / f"{name}.parquet").read_bytes() + (tmp_path / name).read_bytes())
    assert written[0] == written[1]
    assert read_provenance(tmp_path / "a.parquet") == {"rule": "prepare_prompts"}


def users_sets(folder, *, test_text):
    (folder / "pool.txt").write_text("\n".join(f"Do bad thing {i}" for i in range(20)), "utf-8")
    (folder / "good.txt").write_text("\n".join(f"Do good thing {i}" for i in range(20)), "utf-8")
    (folder / "exam.txt").write_text(test_text, "utf-8")
    specs = [("pool", "pool", "harmful"), ("good", "pool", "harmless"), ("exam", "test", "harmful")]
    return (
        [folder / f"{name}.txt" for name, *_ in specs],
        [{"name": name, "text": "text", "role": role, "label": label} for name, role, label in specs],
    )


def test_overlap_in_users_files_is_refused_and_nothing_written(prepare, tmp_path):
    raw, sources = users_sets(tmp_path, test_text="do bad thing 7!")
    with pytest.raises(ValueError, match=r"exam-0000 of exam, pool-0007 of pool"):
        prepare(raw, sources, test_sizes={"exam": None})
    assert_nothing_written(tmp_path)


def test_overlap_of_public_files_is_excluded_and_counted(prepare, tmp_path):
    raw, sources = users_sets(tmp_path, test_text="do bad thing 7!")
    table, summary = prepare(raw, sources, kind="public", test_sizes={"exam": None})
    assert summary["overlaps_excluded"] == {"pool": 1}
    assert "pool-0007" not in set(table["id"])


def test_prompts_that_show_nothing_are_counted(prepare, tmp_path):
    raw, sources = users_sets(tmp_path, test_text="unseen\n\u200b\u2060\nanother")
    table, summary = prepare(raw, sources, test_sizes={"exam": None})
    assert summary["blank_dropped"] == {"exam": 1}
    assert list(table.loc[table["source"] == "exam", "text"]) in (
        ["unseen", "another"],
        ["another", "unseen"],
    )


def test_wrong_kind_count_of_sources_or_ids_is_refused(prepare, tmp_path):
    raw, sources = users_sets(tmp_path, test_text="unseen")
    with pytest.raises(ValueError, match=r"prompts\.source is 'hub', expected one of bundled, public, files"):
        prepare(raw, sources, kind="hub")
    with pytest.raises(ValueError, match="2 raw files but 3 prompt sources"):
        prepare(raw[:2], sources)
    with pytest.raises(ValueError, match=r"20 prompt ids are not unique \(pool-0000\); rename"):
        prepare([raw[0], raw[0]], [sources[0], sources[0]])
    assert_nothing_written(tmp_path)


@pytest.mark.skipif(not DATASETS.is_dir(), reason="the public prompt files are not beside the repository")
def test_public_study_has_the_papers_sizes_and_no_test_prompt_in_train(prepare):
    entries = yaml.safe_load((ROOT / "resources/prompts/public.yaml").read_text("utf-8"))
    table, summary = prepare(
        [DATASETS / entry["file"] for entry in entries],
        entries,
        kind="public",
        sizes=PAPER_SIZES,
        test_sizes=PAPER_TESTS,
        seed=42,
    )
    for split, n in PAPER_SIZES.items():
        assert table[table["split"] == split].groupby("label").size().to_dict() == {
            "harmful": n,
            "harmless": n,
        }
    test = table[table["split"] == "test"]
    assert test.groupby("source").size().to_dict() == PAPER_TESTS
    assert test.groupby("source")["label"].unique().map(list).to_dict() == {
        "jailbreakbench": ["harmful"],
        "alpaca": ["harmless"],
        "strongreject": ["harmful"],
    }
    check_overlap(prompts_of(table))
    assert sum(row["n"] for row in summary["counts"]) == len(table)
