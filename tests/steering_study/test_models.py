"""Folders that a model cannot be had from, or not whole: one line each, and no code of theirs runs."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.conftest import tiny_weights

from steering_study.artifacts import write_json
from steering_study.judges.next_token import load_next_token_classifier
from steering_study.judges.verdicts import ClassifierSettings
from steering_study.models import ChatModel, describe_model, load_model

SOME = "model.layers.1.mlp.down_proj.weight"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, tiny_tokenizer: Any) -> Path:
    """The folder of a tiny Llama."""
    folder = tmp_path_factory.mktemp("whole")
    weights = tiny_weights("llama", d_vocab=len(tiny_tokenizer), num_hidden_layers=2)
    weights.save_pretrained(folder)
    tiny_tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(whole, tmp_path / "model"))


def load(folder: Path) -> ChatModel:
    card = describe_model("mine", str(folder), revision=None, dtype="float32", template={})
    return load_model(card, device="cpu")


def load_judge(folder: Path) -> Any:
    settings = ClassifierSettings(
        model=str(folder), revision=None, dtype="float32", device="cpu", batch_size=1, threshold=0.5
    )
    return load_next_token_classifier(settings, name="harmbench", hub_id="owner/name")


def edit_weights(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        weights = load_file(folder / "model.safetensors")
        change(weights)
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})

    return edit


def edit_json(name: str, **values: Any) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        write_json(folder / name, {**json.loads((folder / name).read_text("utf-8")), **values})

    return edit


def cut_weights(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-8])


def break_header(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(b"\xff" * 16 + path.read_bytes()[16:])


def pickle_weights(folder: Path) -> None:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def pickle_beside_an_adapter(folder: Path) -> None:
    pickle_weights(folder)
    save_file({"other": torch.zeros(1)}, folder / "adapter_model.safetensors")


DAMAGES = {
    "cut": (cut_weights, "no readable safetensors file"),
    "header": (break_header, "no readable safetensors file"),
    "nan": (
        edit_weights(lambda weights: weights[SOME].view(-1)[3].fill_(float("nan"))),
        f"weight '{SOME}' holds NaN or infinity; fetch the model again",
    ),
    "missing": (
        edit_weights(lambda weights: weights.pop(SOME)),
        f"its safetensors lack 1 weights .* such as '{SOME}'",
    ),
    "shape": (
        edit_weights(lambda weights: weights.update({SOME: torch.zeros(3, 3)})),
        f"its safetensors lack 1 weights .* such as '{SOME}'",
    ),
    "pickle": (pickle_weights, "no *.safetensors in "),
    "pickle beside an adapter": (pickle_beside_an_adapter, "cannot be read: Error no file named model.safetensors"),
    "config": (lambda folder: (folder / "config.json").write_text('{"model'), "cannot be read: "),
    "tokenizer": (lambda folder: (folder / "tokenizer.json").write_text('{"model'), "cannot be read: "),
    "generation config": (
        lambda folder: (folder / "generation_config.json").write_text("{"),
        "generation_config.json cannot be read",
    ),
}  # fmt: skip


def test_the_folder_of_these_tests_loads(folder):
    assert load(folder).card.n_layers == 2
    assert load_judge(folder).tokenizer.bos_token_id is not None


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_folder_is_refused_in_one_line_that_names_it(folder, damage):
    change, line = DAMAGES[damage]
    change(folder)
    with pytest.raises(ValueError, match=r"^model 'mine'") as caught:
        load(folder)
    assert re.search(line.replace("*.", r"\*\."), " ".join(str(caught.value).split()))


@pytest.mark.parametrize("damage", ["cut", "header", "nan", "missing", "shape", "pickle", "config"])
def test_a_judge_is_refused_for_the_same_damages(folder, damage):
    DAMAGES[damage][0](folder)
    with pytest.raises(ValueError, match=r"^judge 'harmbench'"):
        load_judge(folder)


@pytest.mark.parametrize("read", [load, load_judge], ids=["model", "judge"])
@pytest.mark.parametrize("is_known", [True, False], ids=["a known family", "an unknown family"])
def test_code_in_a_model_folder_never_runs(folder, tmp_path, is_known, read):
    trace = tmp_path / "it ran"
    (folder / "theirs.py").write_text(f"open({str(trace)!r}, 'w')\nConfig = Model = Tokenizer = None\n")
    edit_json(
        "config.json",
        auto_map={"AutoConfig": "theirs.Config", "AutoModelForCausalLM": "theirs.Model"},
        **({} if is_known else {"model_type": "theirs"}),
    )(folder)
    edit_json("tokenizer_config.json", auto_map={"AutoTokenizer": ["theirs.Tokenizer", None]})(folder)
    if is_known:
        read(folder)
    else:
        with pytest.raises(ValueError, match="needs code of its own repository, which is never run"):
            read(folder)
    assert not trace.exists()
