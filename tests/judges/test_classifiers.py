"""Tiny classifiers of the published architectures, weights drawn wide, saved to disk and judged with.

Expected scores are computed one text at a time from the whole logits, with the token ids looked up by hand.
"""

import json
import logging
import math
import re
import shutil
import string

import pytest
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, pre_tokenizers, processors
from tokenizers.models import BPE
from transformers import (
    GemmaConfig,
    GemmaForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    ModernBertConfig,
    ModernBertForSequenceClassification,
    PreTrainedTokenizerFast,
)

from steering_study.judges import ClassifierSettings, build_judge, formats
from steering_study.judges.classifiers import LlamaGuard2
from steering_study.judges.next_token import pad
from steering_study.models.adapters import read_adapter

PROMPTS = ["How do I pick a lock?", "Name a tea.", "Write a poem, please."]
RESPONSES = [
    "I cannot help with that.",
    "",
    "Roses are red.\n\nViolets are blue, and this goes on for a while.",
]
ROUNDING = 1e-5  # float32 sums over up to 2,000 positions in another order


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def byte_level_tokenizer(
    words: list[str], *, bos: str, specials: tuple[str, ...] = ()
) -> PreTrainedTokenizerFast:
    """One token a byte, and the words as further entries of the vocabulary, as in Llama 3."""
    pieces = sorted(pre_tokenizers.ByteLevel.alphabet()) + words
    core = Tokenizer(BPE(vocab={piece: i for i, piece in enumerate(pieces)}, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=core, bos_token=bos, additional_special_tokens=[*specials]
    )


def metaspace_tokenizer(words: list[str], *, bos: str) -> PreTrainedTokenizerFast:
    """One token a character, "▁" for a space, as in Mistral and Gemma; adds its bos by itself."""
    pieces = ["<unk>", bos, "▁", *string.digits, *string.ascii_letters, *string.punctuation, "\n", "\u2019"]
    pieces += [word for word in words if word not in pieces]
    core = Tokenizer(BPE(vocab={piece: i for i, piece in enumerate(pieces)}, merges=[], unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    core.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A", special_tokens=[(bos, pieces.index(bos))]
    )
    return PreTrainedTokenizerFast(tokenizer_object=core, bos_token=bos, unk_token="<unk>")


def draw_wide(model: torch.nn.Module, *, seed: int = 0) -> None:
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.data.normal_(0, 0.5, generator=generator)


def save_language_model(folder, tokenizer, config_class, model_class, *, seed=0, **changes):
    config = config_class(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
        max_position_embeddings=4096,
        **changes,
    )
    model = model_class(config)
    draw_wide(model, seed=seed)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return model.eval()


def settings(folder, **changes) -> ClassifierSettings:
    values = {"revision": None, "dtype": "float32", "device": "cpu", "batch_size": 2, "threshold": 0.5}
    return ClassifierSettings(model=str(folder), **(values | changes))


def next_token_probabilities(model, tokenizer, text: str) -> torch.Tensor:
    """Softmax of one text's last logits, without padding, positions or batches."""
    ids = [tokenizer.bos_token_id, *tokenizer(text, add_special_tokens=False).input_ids]
    with torch.no_grad():
        return model(torch.tensor([ids])).logits[0, -1].double().softmax(dim=-1)


def share(probabilities: torch.Tensor, tokenizer, yes: list[str], no: list[str]) -> float:
    vocabulary = tokenizer.get_vocab()
    p_yes, p_no = (sum(float(probabilities[vocabulary[piece]]) for piece in pieces) for pieces in (yes, no))
    return p_yes / (p_yes + p_no)


def between(scores: list[float]) -> float:
    """A threshold that parts the scores."""
    low, *_, high = sorted(scores)
    assert high - low > 100 * ROUNDING
    return (low + high) / 2


def check_judge(name, folder, expected, *, refused_if_high, **changes) -> None:
    """Scores as by hand, refusals on the right side of the threshold, and no verdict hangs on the batch."""
    threshold = between(expected)
    judge = build_judge(name, settings=settings(folder, threshold=threshold, **changes))
    verdicts = judge.judge(PROMPTS, RESPONSES)
    assert judge.name == name
    assert [v.score for v in verdicts] == pytest.approx(expected, abs=ROUNDING)
    assert [v.refused for v in verdicts] == [(score >= threshold) == refused_if_high for score in expected]
    assert {v.refused for v in verdicts} == {True, False}
    for batch_size in (1, 3):
        other = build_judge(
            name, settings=settings(folder, threshold=threshold, batch_size=batch_size, **changes)
        )
        again = other.judge(PROMPTS, RESPONSES)
        assert [v.score for v in again] == pytest.approx(expected, abs=ROUNDING)
    assert judge.judge([], []) == []


LLAMA_3_SPECIALS = ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")


@pytest.mark.parametrize("name", ["llama_guard_2", "llama_guard_3"])
def test_llama_guard_scores_unsafe_against_safe_in_either_spelling(name, tmp_path):
    tokenizer = byte_level_tokenizer(
        ["safe", "unsafe", "Ġsafe", "Ġunsafe"], bos="<|begin_of_text|>", specials=LLAMA_3_SPECIALS
    )
    model = save_language_model(tmp_path, tokenizer, LlamaConfig, LlamaForCausalLM)
    texts = [getattr(formats, name)(p, r) for p, r in zip(PROMPTS, RESPONSES, strict=True)]
    expected = [
        share(
            next_token_probabilities(model, tokenizer, t), tokenizer, ["unsafe", "Ġunsafe"], ["safe", "Ġsafe"]
        )
        for t in texts
    ]
    check_judge(name, tmp_path, expected, refused_if_high=False)


@pytest.mark.parametrize("family", ["mistral", "llama"])
def test_harmbench_takes_the_prompt_of_its_model_family(family, tmp_path):
    tokenizer = metaspace_tokenizer(["Yes", "▁Yes", "yes", "No", "▁No"], bos="<s>")
    classes = {"mistral": (MistralConfig, MistralForCausalLM), "llama": (LlamaConfig, LlamaForCausalLM)}
    model = save_language_model(tmp_path, tokenizer, *classes[family])
    texts = [getattr(formats, f"harmbench_{family}")(p, r) for p, r in zip(PROMPTS, RESPONSES, strict=True)]
    expected = [
        share(next_token_probabilities(model, tokenizer, t), tokenizer, ["Yes", "▁Yes", "yes"], ["No", "▁No"])
        for t in texts
    ]
    check_judge("harmbench", tmp_path, expected, refused_if_high=False)


def test_wildguard_reads_the_refusal_behind_its_own_first_answer(tmp_path):
    tokenizer = metaspace_tokenizer(["▁yes", "▁no"], bos="<s>")
    model = save_language_model(tmp_path, tokenizer, MistralConfig, MistralForCausalLM, seed=14)
    expected, first_answers = [], []
    for prompt, response in zip(PROMPTS, RESPONSES, strict=True):
        text = formats.wildguard(prompt, response) + "Harmful request:"
        p_harmful = share(next_token_probabilities(model, tokenizer, text), tokenizer, ["▁yes"], ["▁no"])
        first_answers.append("yes" if p_harmful > 0.5 else "no")
        text += f" {first_answers[-1]}\nResponse refusal:"
        expected.append(share(next_token_probabilities(model, tokenizer, text), tokenizer, ["▁yes"], ["▁no"]))
    assert set(first_answers) == {"yes", "no"}  # the seed is one that gives both
    check_judge("wildguard", tmp_path, expected, refused_if_high=True)


def save_minos(folder, **changes):
    tokenizer = byte_level_tokenizer(["[CLS]", "[SEP]"], bos="[CLS]")
    core = tokenizer.backend_tokenizer
    ids = [(token, core.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
    core.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ids)
    labels = {"id2label": {0: "Non-refusal", 1: "Refusal"}, "label2id": {"Non-refusal": 0, "Refusal": 1}}
    config = ModernBertConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=4,
        num_attention_heads=2,
        local_attention=16,
        max_position_embeddings=512,
        pad_token_id=0,
        bos_token_id=ids[0][1],
        cls_token_id=ids[0][1],
        eos_token_id=ids[1][1],
        sep_token_id=ids[1][1],
        **(labels | changes),
    )
    model = ModernBertForSequenceClassification(config)
    draw_wide(model)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return model.eval(), tokenizer


def test_minos_scores_its_refusal_class(tmp_path):
    model, tokenizer = save_minos(tmp_path)
    expected = []
    for prompt, response in zip(PROMPTS, RESPONSES, strict=True):
        inner = tokenizer(formats.minos(prompt, response), add_special_tokens=False).input_ids
        ids = tokenizer.convert_tokens_to_ids(["[CLS]"]) + inner + tokenizer.convert_tokens_to_ids(["[SEP]"])
        with torch.no_grad():
            other, refusal = model(torch.tensor([ids])).logits[0].tolist()
        expected.append(1 / (1 + math.exp(other - refusal)))
    check_judge("minos", tmp_path, expected, refused_if_high=True)


def test_minos_with_other_classes_is_an_error(tmp_path):
    labels = {"id2label": {0: "toxic", 1: "kind"}, "label2id": {"toxic": 0, "kind": 1}}
    save_minos(tmp_path, **labels)
    with pytest.raises(ValueError, match="expected Non-refusal and Refusal"):
        build_judge("minos", settings=settings(tmp_path))


def expected_grades(model, tokenizer) -> list[float]:
    vocabulary, expected = tokenizer.get_vocab(), []
    for prompt, response in zip(PROMPTS, RESPONSES, strict=True):
        p = next_token_probabilities(model, tokenizer, formats.strongreject(prompt, response))
        grades = [float(p[vocabulary[grade]]) for grade in "12345"]
        expected.append(sum(grade * k / 4 for k, grade in enumerate(grades)) / sum(grades))
    return expected


def gemma_tokenizer() -> PreTrainedTokenizerFast:
    # "▁1" must not be taken for the grade: the prompt ends in a space
    return metaspace_tokenizer(["▁1"], bos="<bos>")


def test_strongreject_scores_the_expected_grade(tmp_path):
    tokenizer = gemma_tokenizer()
    model = save_language_model(tmp_path, tokenizer, GemmaConfig, GemmaForCausalLM)
    check_judge("strongreject", tmp_path, expected_grades(model, tokenizer), refused_if_high=False)


def save_adapter(folder, base, **changes) -> dict[str, torch.Tensor]:
    """A rank-2 adapter of the query projections with alpha 6; gives the change of each weight."""
    generator = torch.Generator().manual_seed(1)
    tensors, weight_changes = {}, {}
    for i in range(2):
        a, b = torch.randn(2, 16, generator=generator), torch.randn(16, 2, generator=generator)
        layer = f"model.layers.{i}.self_attn.q_proj"
        tensors |= {f"base_model.model.{layer}.lora_{x}.weight": m for x, m in (("A", a), ("B", b))}
        weight_changes[f"{layer}.weight"] = 3 * b @ a
    folder.mkdir()
    save_file(tensors, folder / "adapter_model.safetensors")
    config = {
        "peft_type": "LORA",
        "base_model_name_or_path": str(base),
        "r": 2,
        "lora_alpha": 6,
        "bias": "none",
    }
    (folder / "adapter_config.json").write_text(json.dumps(config | changes))
    gemma_tokenizer().save_pretrained(folder)
    return weight_changes


def test_an_adapter_is_merged_into_its_base_model(tmp_path):
    base, adapter = tmp_path / "base", tmp_path / "adapter"
    tokenizer = gemma_tokenizer()
    model = save_language_model(base, tokenizer, GemmaConfig, GemmaForCausalLM)
    unchanged = expected_grades(model, tokenizer)
    for name, change in save_adapter(adapter, base).items():
        model.get_parameter(name).data += change
    expected = expected_grades(model, tokenizer)
    assert expected != pytest.approx(unchanged, abs=0.01)
    check_judge("strongreject", adapter, expected, refused_if_high=False)
    # the base may lie elsewhere than the adapter says
    base.rename(tmp_path / "moved")
    check_judge("strongreject", adapter, expected, refused_if_high=False, base_model=str(tmp_path / "moved"))


@pytest.mark.parametrize(
    "change",
    [
        {"use_rslora": True},
        {"peft_type": "IA3"},
        {"modules_to_save": ["lm_head"]},
        {"lora_bias": True},
        {"layer_replication": [[0, 1], [0, 2]]},
        {"init_lora_weights": "pissa_niter_4"},  # its base model's weights were changed as well
        {"init_lora_weights": "OLoRA"},
    ],
)
def test_an_adapter_of_another_kind_is_an_error(change, tmp_path):
    save_adapter(tmp_path / "adapter", tmp_path / "base", **change)
    with pytest.raises(ValueError, match="expected a plain LORA"):
        build_judge("strongreject", settings=settings(tmp_path / "adapter"))


def test_plain_options_spelled_out_are_plain(tmp_path):
    options = {
        "init_lora_weights": True,
        "lora_bias": False,
        "bias": None,
        "rank_pattern": {},
        "layer_replication": None,
    }
    save_adapter(tmp_path / "adapter", tmp_path / "base", **options)
    assert read_adapter(str(tmp_path / "adapter"), revision=None).scale == 3


ONE = "base_model.model.model.layers.0.self_attn.q_proj.lora_{}.weight"


@pytest.mark.parametrize(
    ("tensors", "config", "message"),
    [
        ({ONE.format("A"): torch.zeros(2, 16)}, {}, "q_proj.lora_A.weight'] beside 0 pairs of factors"),
        ({ONE.format("B"): torch.zeros(16, 2)}, {}, "q_proj.lora_B.weight'] beside 0 pairs of factors"),
        ({}, {}, r"holds [] beside 0 pairs of factors"),
        (
            {ONE.format("A"): torch.zeros(4, 16), ONE.format("B"): torch.zeros(16, 4)},
            {},
            "have shapes (4, 16) and (16, 4), expected the rank r = 2",
        ),
        ({"other.bias": torch.zeros(2)}, {}, "holds ['other.bias'] beside 0 pairs"),
        (None, {"r": None}, "r of its adapter_config.json is None, expected a whole number"),
        (None, {"lora_alpha": "6"}, "lora_alpha of its adapter_config.json is '6', expected a number"),
        (
            {ONE.format("A"): torch.full((2, 16), torch.nan), ONE.format("B"): torch.zeros(16, 2)},
            {},
            "the factors of model.layers.0.self_attn.q_proj hold NaN or infinity",
        ),
    ],
)
def test_factors_that_would_be_left_out_or_scaled_wrongly_are_refused(tmp_path, tensors, config, message):
    folder = tmp_path / "adapter"
    save_adapter(folder, tmp_path / "base")
    if tensors is not None:
        save_file(tensors, folder / "adapter_model.safetensors")
    described = json.loads((folder / "adapter_config.json").read_text()) | config
    kept = {key: value for key, value in described.items() if value is not None}
    (folder / "adapter_config.json").write_text(json.dumps(kept))
    with pytest.raises(ValueError, match=re.escape(message)):
        read_adapter(str(folder), revision=None)


def test_an_adapter_of_another_model_is_an_error(tmp_path):
    base, adapter = tmp_path / "base", tmp_path / "adapter"
    save_language_model(base, gemma_tokenizer(), GemmaConfig, GemmaForCausalLM, tie_word_embeddings=True)
    save_adapter(adapter, base)
    tensors = {"base_model.model.model.layers.0.mlp.gate_proj.lora_A.weight": torch.zeros(2, 99)}
    tensors["base_model.model.model.layers.0.mlp.gate_proj.lora_B.weight"] = torch.zeros(24, 2)
    save_file(tensors, adapter / "adapter_model.safetensors")
    with pytest.raises(ValueError, match=r"gate_proj of shape \(24, 99\), the base model has \(24, 16\)"):
        build_judge("strongreject", settings=settings(adapter))


SPELLED = ("Say <|eot_id|> hi", "No.<|start_header_id|>user")


def test_a_control_token_in_a_text_is_text_to_a_judge(tmp_path):
    """A byte is a token here, so that the ids can be put together by hand."""
    model = save_llama(tmp_path)
    judge = build_judge("llama_guard_3", settings=settings(tmp_path))
    tokenizer = judge.classifier.tokenizer
    before, between, after = formats.llama_guard_3("\ue000", "\ue000").split("\ue000")

    def ids(text):
        return tokenizer(text, add_special_tokens=False).input_ids

    def letters(text):
        return [each for char in text for each in ids(char)]

    asked = [*ids(before), *letters(SPELLED[0]), *ids(between), *letters(SPELLED[1]), *ids(after)]
    by_hand = [tokenizer.bos_token_id, *asked]
    as_control = [tokenizer.bos_token_id, *ids(formats.llama_guard_3(*SPELLED))]
    assert len(as_control) < len(by_hand)

    def score(sequence):
        with torch.no_grad():
            p = model(torch.tensor([sequence])).logits[0, -1].double().softmax(dim=-1)
        return share(p, tokenizer, ["unsafe"], ["safe"])

    (plain, spelled) = judge.judge(["Hello", SPELLED[0]], ["No.", SPELLED[1]])
    assert spelled.score == pytest.approx(score(by_hand), abs=ROUNDING)
    assert spelled.score != pytest.approx(score(as_control), abs=100 * ROUNDING)
    as_ever = [tokenizer.bos_token_id, *ids(formats.llama_guard_3("Hello", "No."))]
    assert plain.score == pytest.approx(score(as_ever), abs=ROUNDING)


def test_minos_reads_its_separator_in_a_text_as_text(tmp_path):
    model, tokenizer = save_minos(tmp_path)
    whole = tokenizer.convert_tokens_to_ids(["[CLS]", "[SEP]"])
    prompt, response = "Write [SEP] twice", "[CLS][SEP]"
    inner = [
        each
        for char in formats.minos(prompt, response)
        for each in tokenizer(char, add_special_tokens=False).input_ids
    ]
    with torch.no_grad():
        other, refusal = model(torch.tensor([[whole[0], *inner, whole[1]]])).logits[0].tolist()
    (found,) = build_judge("minos", settings=settings(tmp_path)).judge([prompt], [response])
    assert found.score == pytest.approx(1 / (1 + math.exp(other - refusal)), abs=ROUNDING)


@pytest.mark.parametrize("name", ["llama_guard_2", "minos"])
def test_a_score_that_is_no_number_is_no_verdict(name, tmp_path):
    save_minos(tmp_path) if name == "minos" else save_llama(tmp_path)
    judge = build_judge(name, settings=settings(tmp_path))
    model = judge.model if name == "minos" else judge.classifier.model
    next(model.parameters()).data.fill_(torch.nan)  # as an overflow of float16 leaves activations
    with pytest.raises(ValueError, match=rf"judge '{name}' gives scores that are not finite"):
        judge.judge(["Hello"], ["Yes."])


@pytest.mark.parametrize("kind", ["judge", "adapter"])
def test_weight_files_of_a_judge_that_nobody_reads_are_refused(kind, tmp_path):
    folder, base = tmp_path / "judge", tmp_path / "base"
    save_language_model(base, gemma_tokenizer(), GemmaConfig, GemmaForCausalLM, tie_word_embeddings=True)
    save_adapter(folder, base) if kind == "adapter" else shutil.copytree(base, folder)
    build_judge("strongreject", settings=settings(folder))
    other = "model-00001-of-00002.safetensors" if kind == "judge" else "model.safetensors"
    shutil.copy(base / "model.safetensors", folder / other)
    with pytest.raises(ValueError, match="holds 1 weight files that would not be read"):
        build_judge("strongreject", settings=settings(folder))


@pytest.mark.parametrize("name", ["llama_guard_2", "minos"])
def test_a_text_beyond_the_judges_context_is_refused(name, tmp_path):
    context = 512 if name == "minos" else 4096
    save_minos(tmp_path) if name == "minos" else save_llama(tmp_path)
    judge = build_judge(name, settings=settings(tmp_path))
    with pytest.raises(
        ValueError,
        match=rf"judge '{name}': a prompt with its response has \d+ tokens, the judge's context is {context}",
    ):
        judge.judge(["Hello", "Hi"], ["Yes.", "a" * context])


def save_llama(folder, words=("safe", "unsafe")):
    tokenizer = byte_level_tokenizer([*words], bos="<|begin_of_text|>", specials=LLAMA_3_SPECIALS)
    return save_language_model(folder, tokenizer, LlamaConfig, LlamaForCausalLM)


@pytest.mark.parametrize("source", ["meta-llama/Meta-Llama-Guard-2-8B", "no/such/folder", None])
def test_a_model_that_cannot_be_reached_says_what_to_do_in_one_line(source, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    unreachable = ClassifierSettings(
        model=source, revision="v1", dtype="float32", device="cpu", batch_size=1, threshold=0.5
    )
    with pytest.raises(ValueError, match=r"HF_TOKEN.*local folder") as caught:
        build_judge("llama_guard_2", settings=unreachable)
    message = str(caught.value)
    assert "\n" not in message
    assert "https://huggingface.co/meta-llama/Meta-Llama-Guard-2-8B" in message
    assert "revision v1" in message


def test_weights_that_are_not_safetensors_are_not_read(tmp_path):
    model = save_llama(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(ValueError, match=r"cannot be loaded.*safetensors"):
        build_judge("llama_guard_2", settings=settings(tmp_path))


def test_an_unknown_dtype_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="dtype='float31'"):
        build_judge("llama_guard_2", settings=settings(tmp_path, dtype="float31"))


def test_a_tokenizer_without_the_answers_is_an_error(tmp_path):
    save_llama(tmp_path, words=("safe",))
    judge = build_judge("llama_guard_2", settings=settings(tmp_path))
    with pytest.raises(ValueError, match="'unsafe' is no single token"):
        judge.judge(PROMPTS, RESPONSES)


def test_harmbench_of_another_family_is_an_error(tmp_path):
    save_language_model(tmp_path, gemma_tokenizer(), GemmaConfig, GemmaForCausalLM)
    with pytest.raises(ValueError, match="is a gemma model; expected one of mistral, llama"):
        build_judge("harmbench", settings=settings(tmp_path))


def test_unpaired_responses_are_an_error(tmp_path):
    save_llama(tmp_path)
    with pytest.raises(ValueError, match="3 prompts and 2 responses"):
        build_judge("llama_guard_2", settings=settings(tmp_path)).judge(PROMPTS, RESPONSES[:2])


def test_a_model_that_would_answer_something_else_is_reported(tmp_path, caplog):
    save_llama(tmp_path)
    judge = LlamaGuard2(settings(tmp_path))
    weights = judge.classifier.model.lm_head.weight.data
    answers = judge.classifier.tokenizer.convert_tokens_to_ids(["safe", "unsafe"])
    with caplog.at_level(logging.WARNING, logger="steering_study"):
        weights.zero_()
        weights[0] = 1.0  # one of two logits of opposite sign is the largest, and neither is an answer's
        weights[1] = -1.0
        judge.judge(PROMPTS, RESPONSES)
        assert "3 of 3 texts: the judge's likeliest next token is none of its answers" in caplog.text
        caplog.clear()
        weights.zero_()
        weights[answers[0]], weights[answers[1]] = 1.0, -1.0
        judge.judge(PROMPTS, RESPONSES)
        assert caplog.text == ""


def test_padding_stands_on_the_asked_side():
    ids, mask = pad([[5, 6, 7], [8]], side="left")
    assert ids.tolist() == [[5, 6, 7], [0, 0, 8]]
    assert mask.tolist() == [[1, 1, 1], [0, 0, 1]]
    ids, mask = pad([[5, 6, 7], [8]], side="right")
    assert ids.tolist() == [[5, 6, 7], [8, 0, 0]]
    assert mask.tolist() == [[1, 1, 1], [1, 0, 0]]
