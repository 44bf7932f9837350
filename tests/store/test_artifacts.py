"""Artifacts: schema, provenance, equal bytes, and a reader that sees the whole of a file or an error."""

from __future__ import annotations

import errno
from contextlib import suppress
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from steering_study.steering.schemas import ASR
from steering_study.store.artifacts import (
    read_arrays,
    read_json,
    read_provenance,
    read_table,
    read_tensors,
    replacing,
    sha256_of,
    table_of,
    write_arrays,
    write_csv,
    write_json,
    write_table,
    write_tensors,
)
from steering_study.store.schema import by_name
from steering_study.texts.schemas import RESPONSES
from steering_study.vectors.schemas import COSINE

PROVENANCE = {"rule": "compare_vectors", "params": {"code": "0a1b", "methods": ["dim"]}, "inputs": {}}


@pytest.fixture
def cosines() -> pd.DataFrame:
    return pd.DataFrame({"method_a": ["dim", "dim"], "method_b": ["dim", "po"], "cosine": [1.0, 0.25]})


@pytest.fixture
def tensors() -> dict[str, torch.Tensor]:
    return {"harmful": torch.arange(6.0, dtype=torch.float64).reshape(2, 3), "counts": torch.tensor([3])}


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# Tables


def test_table_comes_back_as_it_went(tmp_path, cosines):
    write_table(tmp_path / "cosine.parquet", cosines, COSINE)
    pd.testing.assert_frame_equal(read_table(tmp_path / "cosine.parquet", COSINE), cosines)


def test_columns_are_in_the_order_of_the_schema(tmp_path, cosines):
    write_table(tmp_path / "cosine.parquet", cosines[["cosine", "method_b", "method_a"]], COSINE)
    assert list(read_table(tmp_path / "cosine.parquet", COSINE)) == COSINE.names


def test_lists_of_numbers_come_back(tmp_path):
    text, flag = {"string": ["x"], "bool": [True]}, {"int64": [1], "float64": [0.5]}
    values = {**text, **flag, "list<int64>": [[5, 6]], "list<float64>": [[-0.5, -1.0]]}
    frame = pd.DataFrame({column: values[kind] for column, kind in RESPONSES.kinds.items()})
    write_table(tmp_path / "responses.parquet", frame, RESPONSES)
    row = read_table(tmp_path / "responses.parquet", RESPONSES).iloc[0]
    assert (list(row["token_ids"]), list(row["logprobs"])) == ([5, 6], [-0.5, -1.0])


def test_missing_and_superfluous_columns_are_named(tmp_path, cosines):
    wrong = cosines.rename(columns={"cosine": "angle"})
    with pytest.raises(ValueError, match=r"missing \['cosine'\], extra \['angle'\]"):
        write_table(tmp_path / "cosine.parquet", wrong, COSINE)
    assert names(tmp_path) == []


@pytest.mark.parametrize(("column", "value"), [("cosine", "wide"), ("method_a", 3.5)])
def test_another_type_is_refused(tmp_path, cosines, column, value):
    with pytest.raises(ValueError, match=r"table 'cosine': .*its stage's schemas\.py"):
        write_table(tmp_path / "cosine.parquet", cosines.assign(**{column: value}), COSINE)


def test_fractions_are_no_counts(tmp_path):
    values = {"string": ["x"], "float64": [0.5], "int64": [2.5]}
    frame = pd.DataFrame({column: values[kind] for column, kind in ASR.kinds.items()})
    with pytest.raises(ValueError, match="table 'asr'"):
        write_table(tmp_path / "asr.parquet", frame, ASR)


@pytest.mark.parametrize(
    "read",
    [partial(read_table, table=COSINE), partial(table_of, tables=by_name(COSINE)), read_provenance],
    ids=["rows", "kind", "provenance"],
)
@pytest.mark.parametrize("keep", [0, 100, -20])
def test_truncated_table_is_named(tmp_path, cosines, read, keep):
    path = tmp_path / "cosine.parquet"
    write_table(path, cosines, COSINE)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match=r"cosine\.parquet is not a readable Parquet file .*delete it"):
        read(path)


def test_a_changed_byte_of_a_table_is_never_read_as_another_value(tmp_path, cosines):
    path = tmp_path / "cosine.parquet"
    write_table(path, cosines, COSINE)
    content = path.read_bytes()
    refused = 0
    for place in range(0, len(content), 7):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :])
        try:
            found = read_table(path, COSINE)
        except ValueError:
            refused += 1
        else:
            pd.testing.assert_frame_equal(found, cosines)  # a byte that says nothing of the values
    assert refused > len(content) / 7 / 2


def test_table_of_another_kind_is_refused(tmp_path, cosines):
    write_table(tmp_path / "cosine.parquet", cosines, COSINE)
    with pytest.raises(ValueError, match="table 'asr' expects"):
        read_table(tmp_path / "cosine.parquet", ASR)


# Tensors


def test_tensors_come_back_as_they_went(tmp_path, tensors):
    write_tensors(tmp_path / "means.safetensors", tensors)
    read = read_tensors(tmp_path / "means.safetensors")
    assert set(read) == set(tensors)
    assert all(torch.equal(read[name], tensors[name]) for name in tensors)
    assert read["harmful"].dtype == torch.float64


def test_a_view_is_written_as_its_values(tmp_path, tensors):
    write_tensors(tmp_path / "means.safetensors", {"turned": tensors["harmful"].T})
    assert torch.equal(read_tensors(tmp_path / "means.safetensors")["turned"], tensors["harmful"].T)


@pytest.mark.parametrize("keep", [0, 5, -3], ids=["empty", "header cut", "end cut"])
@pytest.mark.parametrize("read", [read_tensors, read_arrays, read_provenance])
def test_corrupt_tensor_file_is_named(tmp_path, tensors, keep, read):
    path = tmp_path / "means.safetensors"
    write_tensors(path, tensors)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(
        ValueError, match=r"means\.safetensors is not a readable safetensors file .*delete it and run again"
    ):
        read(path)


@pytest.mark.parametrize("read", [read_tensors, read_arrays])
def test_a_changed_byte_of_a_tensor_file_is_never_read_as_another_number(tmp_path, tensors, read):
    path = tmp_path / "means.safetensors"
    write_tensors(path, tensors)
    content = path.read_bytes()
    expected = {name: tensor.tolist() for name, tensor in tensors.items()}
    for place in range(0, len(content), 7):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        try:
            found = {name: value.tolist() for name, value in read(path).items()}
        except ValueError as error:
            assert str(path) in str(error)  # noqa: PT017
        else:
            assert found == expected, place  # a byte of the provenance


def test_tensors_of_another_writer_are_refused(tmp_path, tensors):
    save_file(tensors, tmp_path / "v.safetensors")
    with pytest.raises(ValueError, match="holds other tensors than those that were written to it"):
        read_tensors(tmp_path / "v.safetensors")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_tensor_without_finite_values_is_named(tmp_path, value):
    write_tensors(tmp_path / "v.safetensors", {"fine": torch.ones(2), "vector": torch.tensor([1.0, value])})
    with pytest.raises(ValueError, match="tensor 'vector' holds NaN or infinity"):
        read_tensors(tmp_path / "v.safetensors")
    with pytest.raises(ValueError, match="NaN or infinity"):
        read_arrays(tmp_path / "v.safetensors")


# Provenance and bytes


def test_provenance_comes_back_from_both_kinds_of_file(tmp_path, cosines, tensors):
    write_table(tmp_path / "a.parquet", cosines, COSINE, provenance=PROVENANCE)
    write_tensors(tmp_path / "a.safetensors", tensors, provenance=PROVENANCE)
    assert read_provenance(tmp_path / "a.parquet") == PROVENANCE
    assert read_provenance(tmp_path / "a.safetensors") == PROVENANCE


def test_no_provenance_is_an_empty_one(tmp_path, cosines, tensors):
    write_table(tmp_path / "a.parquet", cosines, COSINE)
    write_tensors(tmp_path / "a.safetensors", tensors)
    assert read_provenance(tmp_path / "a.parquet") == read_provenance(tmp_path / "a.safetensors") == {}


def test_equal_values_are_equal_bytes(tmp_path, cosines, tensors):
    # more than two: what is in the order of a hash map is the same every other time
    turned = dict(reversed(PROVENANCE.items()))
    for folder, provenance in zip("abcdefgh", [PROVENANCE, turned] * 4, strict=True):
        write_table(tmp_path / folder / "t.parquet", cosines, COSINE, provenance=provenance)
        write_tensors(tmp_path / folder / "t.safetensors", tensors, provenance=provenance)
        write_json(tmp_path / folder / "t.json", provenance)
    assert len({sha256_of(folder) for folder in tmp_path.iterdir()}) == 1


def test_digest_of_a_folder_knows_names_and_contents(tmp_path):
    digests = set()
    for folder, name, text in (("a", "x", "1"), ("b", "y", "1"), ("c", "x", "2")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_text(text)
        digests.add(sha256_of(tmp_path / folder))
    assert len(digests) == 3


# JSON and replacement


def test_json_comes_back_as_it_went(tmp_path):
    write_json(tmp_path / "a.json", {"ü": [1, 2.5, None]})
    assert read_json(tmp_path / "a.json") == {"ü": [1, 2.5, None]}


def test_bytes_that_are_no_text_are_no_json(tmp_path):
    (tmp_path / "a.json").write_bytes(b'{"a": "\xff"}')
    with pytest.raises(ValueError, match=r"a\.json is not valid JSON .*delete it and run again"):
        read_json(tmp_path / "a.json")


def test_invalid_json_is_named(tmp_path):
    (tmp_path / "a.json").write_text('{"a": ')
    with pytest.raises(ValueError, match=r"a\.json is not valid JSON .*delete it"):
        read_json(tmp_path / "a.json")


def write_half(path) -> None:
    with replacing(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError("disk full")


def test_failure_keeps_the_old_file_and_leaves_nothing_else(tmp_path):
    write_json(tmp_path / "a.json", 1)
    with pytest.raises(RuntimeError, match="disk full"):
        write_half(tmp_path / "a.json")
    assert read_json(tmp_path / "a.json") == 1
    assert names(tmp_path) == ["a.json"]


def test_what_a_killed_job_left_goes_with_the_next_writing(tmp_path):
    mine, others = tmp_path / ".a.json.4711", tmp_path / ".ab.json.4711"
    mine.write_text("half"), others.write_text("half")
    write_json(tmp_path / "a.json", 1)
    assert names(tmp_path) == [others.name, "a.json"]


@pytest.mark.parametrize("size", ["1m", "1m,ro"], ids=["full", "read-only"])
def test_a_disk_that_refuses_keeps_the_old_file_and_is_named(mounted, size, cosines, tensors):
    folder = mounted()
    write_json(folder / "a.json", "old")
    filled = folder / "filled"
    with suppress(OSError):
        filled.write_bytes(bytes(2**21))
    if "ro" in size:
        mounted("remount,ro")
    for write in (
        lambda path: write_json(path, list(range(1000))),
        lambda path: write_tensors(path, {"v": torch.zeros(10**5)}),
        lambda path: write_arrays(path, {"v": np.zeros(10**5)}),
        lambda path: write_table(path, cosines, COSINE),
    ):
        with pytest.raises(OSError, match=r"a\.json'") as caught:
            write(folder / "a.json")
        assert caught.value.errno == (errno.EROFS if "ro" in size else errno.ENOSPC)
        assert read_json(folder / "a.json") == "old"
    assert names(folder) == ["a.json", "filled"]


def test_success_replaces_the_old_file_and_leaves_nothing_else(tmp_path, cosines):
    path = tmp_path / "new" / "a.parquet"
    write_table(path, cosines, COSINE)
    write_table(path, cosines.head(1), COSINE)
    assert len(read_table(path, COSINE)) == 1
    assert names(path.parent) == ["a.parquet"]


def test_file_is_not_there_before_it_is_whole(tmp_path):
    with replacing(tmp_path / "a") as temporary:
        temporary.write_text("half")
        assert not (tmp_path / "a").exists()
    assert (tmp_path / "a").read_text() == "half"


def test_a_table_says_which_it_is(tmp_path, cosines):
    write_table(tmp_path / "other_name.parquet", cosines, COSINE)
    assert table_of(tmp_path / "other_name.parquet", by_name(ASR, COSINE)) is COSINE
    cosines.to_parquet(tmp_path / "foreign.parquet")
    with pytest.raises(ValueError, match=r"foreign\.parquet is table ''"):
        table_of(tmp_path / "foreign.parquet", by_name(COSINE))


def test_arrays_are_read_back_as_tensors_with_their_provenance(tmp_path):
    path = tmp_path / "vector.safetensors"
    write_arrays(path, {"vector": np.array([1.0, 2.0], dtype=np.float32)}, provenance=PROVENANCE)
    assert read_tensors(path)["vector"].equal(torch.tensor([1.0, 2.0]))
    assert read_provenance(path) == PROVENANCE
    assert names(tmp_path) == ["vector.safetensors"]


@pytest.mark.parametrize("token", ["\r", "\n", "\r\n", '"', ",", " ", "plain"])
def test_every_token_is_read_back_from_text(tmp_path, token):
    """Vocabularies of bytes hold each of these; a bare carriage return would begin a new row."""
    frame = pd.DataFrame({"token": [token, "b"], "logit": [1.5, np.nan], "rank": [1, 2]})
    write_csv(tmp_path / "a.csv", frame)
    found = pd.read_csv(tmp_path / "a.csv", keep_default_na=False, na_values={"logit": [""]})
    pd.testing.assert_frame_equal(found, frame)


@pytest.mark.parametrize("read", [read_tensors, read_arrays])
def test_a_file_with_tensors_that_nobody_reads_is_refused(tmp_path, read):
    path = tmp_path / "vector.safetensors"
    write_tensors(path, {"vector": torch.ones(2)})
    assert list(read(path, names=["vector"])) == ["vector"]
    write_tensors(path, {"vector": torch.ones(2), "bias": torch.ones(2)})
    with pytest.raises(ValueError, match=r"holds tensors bias, vector, expected vector and no others"):
        read(path, names=["vector"])
    write_tensors(path, {"direction": torch.ones(2)})
    with pytest.raises(ValueError, match=r"holds tensors direction, expected vector and no others"):
        read(path, names=["vector"])
