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
from transformers import AutoModelForCausalLM, AutoTokenizer

from steering_study.judges.next_token import load_next_token_classifier
from steering_study.judges.verdicts import ClassifierSettings
from steering_study.models.card import describe_model
from steering_study.models.decoding import generate
from steering_study.models.loading import ChatModel, load_model
from steering_study.store.artifacts import write_json

SOME = "model.layers.1.mlp.down_proj.weight"
BIAS = "model.layers.0.self_attn.q_proj.bias"


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
    "more blocks": (
        edit_json("config.json", num_hidden_layers=1),
        r"hold 9 weights that its config.json has no place for, such as 'model\.layers\.1\.",
    ),
    "bias": (
        edit_weights(lambda weights: weights.update({BIAS: torch.ones(32)})),
        f"hold 1 weights that its config.json has no place for, such as '{BIAS}'",
    ),
    "adapter beside it": (
        lambda folder: (folder / "adapter_config.json").write_text("{}"),
        "holds a low-rank adapter .* which is not read; merge it",
    ),
    "shard of another model": (
        lambda folder: shutil.copy(folder / "model.safetensors", folder / "model-00001-of-00002.safetensors"),
        "holds 1 weight files that would not be read, such as model-00001-of-00002.safetensors, beside model.safetensors",
    ),
    "pickle": (pickle_weights, "no *.safetensors in "),
    "pickle beside an adapter": (
        pickle_beside_an_adapter,
        "cannot be read: Error no file named model.safetensors",
    ),
    "config": (lambda folder: (folder / "config.json").write_text('{"model'), "cannot be read: "),
    "tokenizer": (lambda folder: (folder / "tokenizer.json").write_text('{"model'), "cannot be read: "),
    "generation config": (
        lambda folder: (folder / "generation_config.json").write_text("{"),
        "generation_config.json cannot be read",
    ),
}


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


OF_JUDGES = ["cut", "header", "nan", "missing", "shape", "more blocks", "bias", "pickle", "config"]


@pytest.mark.parametrize("damage", OF_JUDGES)
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


def shard(folder: Path) -> None:
    """The same weights in several files, as large models are published."""
    weights = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    (folder / "model.safetensors").unlink()
    weights.save_pretrained(folder, max_shard_size="60KB")


def test_shards_are_read_and_others_than_the_index_names_are_refused(folder):
    before = load(folder).bridge.original_model.state_dict()
    shard(folder)
    first, *others = sorted(folder.glob("model-*.safetensors"))
    assert others
    shutil.copy(first, folder / "consolidated.safetensors")  # beside Mistral's models, and of no account
    after = load(folder).bridge.original_model.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)
    shutil.copy(first, folder / "model-00009-of-00009.safetensors")
    with pytest.raises(
        ValueError, match=r"1 weight files that would not be read, such as model-00009-of-00009"
    ):
        load(folder)


def test_buffers_that_old_files_hold_are_no_weights(folder):
    """Rotary frequencies follow from the config; files of before 2023 hold them."""
    before = load(folder).bridge.original_model.state_dict()
    edit_weights(
        lambda weights: weights.update({"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(4)})
    )(folder)
    after = load(folder).bridge.original_model.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)


@pytest.mark.parametrize("pad", [None, "without weights"])
def test_any_token_fills_rows(folder, pad):
    """A pad token that was added to the tokenizer alone has no weights; what fills rows is masked."""
    plain = load(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    if pad is None:
        edit_json("tokenizer_config.json", pad_token=None)(folder)
    else:
        tokenizer.add_special_tokens({"pad_token": "<|fill|>"})
        tokenizer.save_pretrained(folder)
    other = load(folder)
    assert other.tokenizer.pad_token_id == (None if pad is None else other.card.d_vocab)
    texts = ["Hello!", "How do I bake bread, and what do I need for it?"]
    of_both = [
        generate(model, model.render(texts), max_new_tokens=4, batch_size=2) for model in (plain, other)
    ]
    assert of_both[0] == of_both[1]


def test_a_prompt_with_a_token_without_weights_is_refused(folder):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(["otter"])
    tokenizer.save_pretrained(folder)
    model = load(folder)
    with pytest.raises(
        ValueError, match=r"prompt 'An otter\.'\.\.\.: token 'otter' has id 400, .* weights for 400 tokens"
    ):
        model.render(["Hello!", "An otter."])


def test_a_template_with_a_token_without_weights_is_refused(folder):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|now|>"]})
    tokenizer.chat_template += "{{ '<|now|>' }}"
    tokenizer.save_pretrained(folder)
    with pytest.raises(ValueError, match=r"chat template of model 'mine': token '<\|now\|>' has id 400"):
        load(folder)
