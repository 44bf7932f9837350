import pandas as pd
import pytest

from steering_study.report.frames import FRAMES, read_frame, read_tables, write_frame
from steering_study.store.artifacts import write_table
from steering_study.vectors.schemas import COSINE

ROW = {
    "model": "NA",
    "method": "dim",
    "condition": "induce",
    "dataset": "harmless",
    "coefficient": 0.1 + 0.2,
    "prompt_id": "007",
    "prompt": 'a "quoted",\nline',
    "base": "",
    "base_verdict": "complied",
    "steered": "None",
    "steered_verdict": "refused",
    "flipped": True,
}


def test_frames_come_back_as_they_were(tmp_path):
    frame = pd.DataFrame([ROW, {**ROW, "coefficient": float("nan"), "flipped": False}])
    path = tmp_path / "deep" / "examples.csv"
    write_frame(path, frame[frame.columns[::-1]], frame="examples")
    pd.testing.assert_frame_equal(read_frame(path, frame="examples"), frame)
    assert list(pd.read_csv(path, nrows=0).columns) == list(FRAMES["examples"])


def test_wrong_columns_are_refused(tmp_path):
    frame = pd.DataFrame([ROW])
    with pytest.raises(ValueError, match="frame 'examples' expects columns"):
        write_frame(tmp_path / "x.csv", frame.drop(columns="base"), frame="examples")
    write_frame(tmp_path / "x.csv", frame, frame="examples")
    with pytest.raises(ValueError, match=r"x\.csv has columns .* frame 'flips' expects"):
        read_frame(tmp_path / "x.csv", frame="flips")


def test_tables_of_all_models_become_one_frame(tmp_path):
    cosine = pd.DataFrame({"method_a": ["dim"], "method_b": ["po"], "cosine": [0.3]})
    paths = [tmp_path / f"{i}.parquet" for i in range(4)]
    for path in paths:
        write_table(path, cosine, COSINE)
    tables = read_tables({"cosine": COSINE}, {"cosine": paths}, models=["a", "b"])
    assert list(tables["cosine"]["model"]) == ["a", "a", "b", "b"]
    with pytest.raises(ValueError, match="3 files for 2 models"):
        read_tables({"cosine": COSINE}, {"cosine": paths[:3]}, models=["a", "b"])
