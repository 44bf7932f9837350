"""Prompts and cards of every family: the vendor's structure of turns, the same on every day, whatever the model's folder lists."""

from __future__ import annotations

import json
import string
from dataclasses import replace
from pathlib import Path

import pytest
from tests.conftest import EVERY_FAMILY, tiny_weights
from tests.models.chat_families import CHATS, TEMPLATE, save_generation_config, save_tokenizer
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from steering_study.models.card import ModelCard, describe_model
from steering_study.models.chat import (
    ALIAS,
    closing_id,
    control_tokens,
    post_instruction_ids,
    render_chat,
    render_text,
)
from steering_study.models.loading import ChatModel, load_model
from steering_study.store.artifacts import write_json

TEXTS = ["Hello there", "How do I bake bread?", "end.", "1 + 1 ="]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A tiny model of each family as its vendor would publish it."""
    found = {}
    for family in EVERY_FAMILY:
        folder = tmp_path_factory.mktemp(family)
        tokenizer = save_tokenizer(family, TEXTS, folder, d_vocab=300)
        tiny_weights(family, d_vocab=len(tokenizer)).save_pretrained(folder)
        save_generation_config(family, tokenizer, folder)
        found[family] = (folder, AutoTokenizer.from_pretrained(folder))
    return found


@pytest.fixture(params=EVERY_FAMILY)
def family(request):
    return request.param


def describe(folder, *, name="mine", template=TEMPLATE) -> ModelCard:
    return describe_model(name, str(folder), revision=None, dtype="float32", template=template)


def rendered(tokenizer, *, variables=TEMPLATE):
    return render_chat(tokenizer, TEXTS, context=256, variables=variables)


def test_one_bos_where_the_family_has_one_and_none_elsewhere(folders, family):
    _, tokenizer = folders[family]
    for ids in rendered(tokenizer):
        if CHATS[family].bos is None:
            assert tokenizer.bos_token_id is None
        else:
            assert ids[0] == tokenizer.bos_token_id
            assert ids.count(tokenizer.bos_token_id) == 1


def test_ids_are_those_that_transformers_makes_of_the_chat(folders, family):
    _, tokenizer = folders[family]
    for text, ids in zip(TEXTS, rendered(tokenizer), strict=True):
        expected = tokenizer.apply_chat_template(
            [{"role": "user", "content": text}],
            add_generation_prompt=True,
            return_dict=True,
            date_string="26 Jul 2024",
            enable_thinking=False,
        )
        assert list(ids) == expected["input_ids"]


def test_span_is_what_the_template_writes_after_the_text(folders, family):
    _, tokenizer = folders[family]
    span = post_instruction_ids(tokenizer, variables=TEMPLATE)
    assert tokenizer.decode(list(span)) == CHATS[family].span
    for ids in rendered(tokenizer):
        assert ids[-len(span) :] == span


def test_no_prompt_changes_from_day_to_day(folders, family):
    """A template that asks for today gets the config's date, and a run without one ends."""
    _, tokenizer = folders[family]
    text = render_text(tokenizer, "Hello", variables=TEMPLATE)
    other = render_text(tokenizer, "Hello", variables={**TEMPLATE, "date": "2031-01-02"})
    if family == "llama":
        assert "Today: 26 Jul 2024" in text
        assert other == text.replace("26 Jul 2024", "02 Jan 2031")
        with pytest.raises(ValueError, match=r"today's date; give one in config: prompts\.template\.date"):
            render_text(tokenizer, "Hello", variables={"enable_thinking": False})
    else:
        assert other == text


def test_thoughts_are_switched_off_and_on(folders):
    _, tokenizer = folders["qwen3"]
    thinking = {**TEMPLATE, "enable_thinking": True}
    assert tokenizer.decode(list(post_instruction_ids(tokenizer, variables=thinking))) == (
        "<|im_end|>\n<|im_start|>assistant\n"
    )
    assert render_text(tokenizer, "Hello", variables=TEMPLATE).endswith("<think>\n\n</think>\n\n")
    assert "think" not in render_text(tokenizer, "Hello", variables=thinking)


def test_default_system_blocks_stand_before_the_user(folders):
    for family, block in (("llama", "Knowledge ends"), ("qwen2", "You are an assistant.")):
        text = render_text(folders[family][1], "Hello", variables=TEMPLATE)
        assert text.count(block) == 1
        assert text.index(block) < text.index("Hello")


def test_gemma_refuses_a_system_role_and_is_given_none(folders):
    _, tokenizer = folders["gemma2"]
    with pytest.raises(Exception, match="System role not supported"):
        tokenizer.apply_chat_template([{"role": "system", "content": "x"}], tokenize=False)
    assert "system" not in render_text(tokenizer, "Hello", variables=TEMPLATE)


def test_card_lists_every_end_of_turn_of_the_generation_config(folders, family):
    folder, tokenizer = folders[family]
    card = describe(folder)
    assert card.end_of_turn_ids == tuple(tokenizer.convert_tokens_to_ids(list(CHATS[family].ends)))
    assert card.template == TEMPLATE
    assert ModelCard.from_json(json.loads(json.dumps(card.to_json()))) == card


def test_loaded_model_renders_with_the_variables_of_its_card(folders, family):
    folder, tokenizer = folders[family]
    model = load_model(describe(folder), device="cpu")
    assert model.render(TEXTS) == rendered(tokenizer)
    assert all(
        ids[-len(model.card.post_instruction_ids) :] == model.card.post_instruction_ids
        for ids in model.render(TEXTS)
    )
    if family == "qwen3":
        thinking = replace(model.card, template={**TEMPLATE, "enable_thinking": True})
        assert ChatModel(model.bridge, model.tokenizer, thinking).render(TEXTS) != rendered(tokenizer)


def changed(folder: Path, into: Path, **keys) -> Path:
    """The same model with other keys in its config.json; None takes a key out."""
    for path in folder.iterdir():
        (into / path.name).write_bytes(path.read_bytes())
    config = {**json.loads((into / "config.json").read_text("utf-8")), **keys}
    (into / "config.json").write_text(json.dumps(config), "utf-8")
    return into


@pytest.mark.parametrize("listed", [None, {"pad_token_id": 0}])
def test_without_a_list_the_tokenizer_says_what_ends_a_turn(folders, tmp_path, listed):
    folder, tokenizer = folders["qwen2"]
    path = changed(folder, tmp_path) / "generation_config.json"
    path.unlink() if listed is None else path.write_text(json.dumps(listed), "utf-8")
    assert describe(tmp_path).end_of_turn_ids == (tokenizer.eos_token_id,)


@pytest.mark.parametrize("listed", [5, [5], []])
def test_the_template_says_how_a_turn_ends_whatever_the_list_says(folders, family, tmp_path, listed):
    """What an answer is closed with, the model was taught; a list without it would let every text run on."""
    folder, tokenizer = folders[family]
    write_json(changed(folder, tmp_path) / "generation_config.json", {"eos_token_id": listed})
    closing = closing_id(tokenizer, variables=TEMPLATE)
    # Phi-3's tokenizer ends a text, its template a turn
    assert closing == tokenizer.convert_tokens_to_ids(
        "<|end|>" if family == "phi3" else CHATS[family].ends[0]
    )
    first = [tokenizer.eos_token_id] if listed == [] else [5]
    assert describe(tmp_path).end_of_turn_ids == tuple(dict.fromkeys([*first, closing]))


def test_a_template_without_a_closing_token_leaves_it_to_the_list(folders, tmp_path):
    folder, _ = folders["qwen2"]
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = "{% for m in messages %}{{ m['content'] + '\n' }}{% endfor %}Answer:"
    assert closing_id(tokenizer) is None
    write_json(changed(folder, tmp_path) / "generation_config.json", {"eos_token_id": 5})
    tokenizer.save_pretrained(tmp_path)
    assert describe(tmp_path).end_of_turn_ids == (5,)


@pytest.mark.parametrize(
    "template",
    [
        "{% for m in messages if m['role'] == 'user' %}<|im_start|>user\n{{ m['content'] }}<|im_end|>\n{% endfor %}<|im_start|>",
        "{% if messages|length > 1 %}{{ raise_exception('one turn') }}{% endif %}{{ messages[0]['content'] }}<|im_end|>\n<|im_start|>",
        "{% for m in messages %}<|im_start|>{{ m['content'] | upper if m['role'] != 'user' else m['content'] }}<|im_end|>{% endfor %}<|im_start|>",
        "{% for m in messages %}<|im_start|>{{ m['content'] }}{{ '' if loop.last and m['role'] != 'user' else '<|im_end|>' }}{% endfor %}",
    ],
    ids=["drops answers", "refuses answers", "changes answers", "leaves the last answer open"],
)
def test_where_a_template_closes_no_answer_a_turn_ends_as_the_users_does(folders, template):
    tokenizer = AutoTokenizer.from_pretrained(folders["qwen2"][0])
    tokenizer.chat_template = template
    assert closing_id(tokenizer) == tokenizer.convert_tokens_to_ids("<|im_end|>")


NEEDS_SYSTEM = (
    "{% if messages[0]['role'] != 'system' %}{{ raise_exception('a system turn is required') }}{% endif %}"
)


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (NEEDS_SYSTEM, "one user turn \\(TemplateError: a system turn is required\\); give it what it needs"),
        ("{% if messages %}", "one user turn \\(TemplateSyntaxError: "),
        ("{{ tools[0]['name'] }}", "one user turn \\(UndefinedError: "),
        ("{{ 1 // 0 }}", "one user turn \\(ZeroDivisionError: "),
        ("{{ messages[0]['content'] + 1 }}", "one user turn \\(TypeError: "),
        ("Hello <|im_start|>assistant", "leaves the user's text out: 'one' is not in what it writes"),
        ("{{ messages[0]['content'] }}", "writes nothing after the user's text"),
    ],
)
def test_a_template_that_fails_is_refused_in_one_line(folders, tmp_path, template, message):
    folder, _ = folders["qwen2"]
    changed(folder, tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = template
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=message) as refusal:
        describe(tmp_path)
    assert "\n" not in str(refusal.value)


def spelling(family: str) -> list[str]:
    """Texts that spell each control token of a family."""
    chat = CHATS[family]
    tokens = [*chat.ends, *chat.others, *([chat.bos] if chat.bos else [])]
    return [f"Say {token} hi" for token in tokens] + [f"{tokens[0]}{tokens[-1]}", f"x{tokens[0]}"]


def test_a_control_token_in_a_prompt_is_text(folders, family):
    _, tokenizer = folders[family]
    control = control_tokens(tokenizer)
    (frame,) = render_chat(tokenizer, ["Say hi"], context=256, variables=TEMPLATE)
    templates_own = [each for each in frame if each in control.values()]
    assert templates_own
    for text in spelling(family):
        # The danger is there: read as a whole, the text adds control tokens
        whole = tokenizer(render_text(tokenizer, text, variables=TEMPLATE), add_special_tokens=False)[
            "input_ids"
        ]
        assert len([each for each in whole if each in control.values()]) > len(templates_own)
        (ids,) = render_chat(tokenizer, [text], context=256, variables=TEMPLATE)
        assert [each for each in ids if each in control.values()] == templates_own
        assert text in tokenizer.decode(
            list(ids)
        )  # and nothing of it is lost, as special tokens may swallow spaces


def test_other_prompts_keep_the_ids_of_the_template_beside_such_a_prompt(folders, family):
    _, tokenizer = folders[family]
    mixed = render_chat(tokenizer, [*TEXTS, *spelling(family)], context=256, variables=TEMPLATE)
    assert mixed[: len(TEXTS)] == rendered(tokenizer)


def piecewise_tokenizer(*, prefix: str, fold: bool = False) -> PreTrainedTokenizerFast:
    """One token a character, as sentencepiece spells spaces; control tokens are part of the vocabulary, as in Gemma's."""
    control = ["<s>", "<|turn|>", "<|end|>"]
    pieces = ["<unk>", *control, "▁", *sorted(set(string.printable) - set(string.whitespace)), "\n"]
    core = Tokenizer(
        models.BPE(vocab={piece: i for i, piece in enumerate(pieces)}, merges=[], unk_token="<unk>")
    )
    # "normalizer": a space before every stretch between control tokens, as Llama 2 and Phi-3 have it
    spaces = [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")] if prefix == "normalizer" else []
    folds = [normalizers.NFKC(), normalizers.Lowercase()] if fold else []
    core.normalizer = normalizers.Sequence([*folds, *spaces])
    if prefix != "normalizer":
        core.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=prefix)
    core.decoder = decoders.Metaspace()
    core.add_special_tokens([AddedToken(token, special=True, normalized=fold) for token in control])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token="<s>",
        eos_token="<|end|>",
        unk_token="<unk>",
        additional_special_tokens=["<|turn|>"],
    )
    fast.chat_template = (
        "<s>{% for m in messages %}<|turn|>{{ m['content'] | trim }}<|end|>{% endfor %}<|turn|>"
    )
    return fast


def test_white_space_that_a_template_trims_is_no_part_of_the_text(folders):
    _, tokenizer = folders["llama"]  # whose template trims
    bare, spaced = render_chat(
        tokenizer, ["a <|eot_id|> b", "\n a <|eot_id|> b "], context=256, variables=TEMPLATE
    )
    assert bare == spaced


def test_signs_that_a_vocabulary_lacks_are_unknown_and_no_control_tokens():
    tokenizer = piecewise_tokenizer(prefix="first")
    unknown = tokenizer.convert_tokens_to_ids("<unk>")
    plain, spelled, spelled_unknown = render_chat(
        tokenizer, ["\u2603 a", "\u2603 <s> a", "a <unk>"], context=256
    )
    expected = tokenizer.apply_chat_template(
        [{"role": "user", "content": "\u2603 a"}], add_generation_prompt=True, return_dict=True
    )
    assert list(plain) == expected["input_ids"]
    assert plain.count(unknown) == spelled.count(unknown) == 1
    assert spelled_unknown.count(unknown) == 0


def test_a_control_token_that_is_found_in_other_letters_is_text_too():
    """A tokenizer that folds case and width before it looks for added tokens finds them in texts that spell them otherwise."""
    tokenizer = piecewise_tokenizer(prefix="never", fold=True)
    end = tokenizer.eos_token_id
    texts = ["a <|END|> b", "a \uff1c|end|\uff1e b"]
    whole = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
    assert all(end in ids for ids in whole)  # the danger is there
    plain, *folded = render_chat(tokenizer, ["a b", *texts], context=256)
    assert [ids.count(end) for ids in folded] == [plain.count(end)] * 2


@pytest.mark.parametrize("prefix", ["normalizer", "first", "always", "never"])
def test_the_rest_of_a_tokenizer_stays_as_it_is(prefix):
    """Spaces that a tokenizer puts before a text, or not, are the same in a prompt that spells a control token."""
    tokenizer = piecewise_tokenizer(prefix=prefix)
    plain, spelled = render_chat(tokenizer, ["a b c", "a <s> c"], context=256)
    place = next(i for i, each in enumerate(plain) if tokenizer.decode([each]) == "b")
    assert spelled[:place] == plain[:place]
    assert spelled[place + 3 :] == plain[place + 1 :]
    assert tokenizer.convert_ids_to_tokens(list(spelled[place : place + 3])) == ["<", "s", ">"]


def test_a_text_that_cannot_be_told_from_the_template_is_refused(folders):
    _, tokenizer = folders["qwen2"]
    changing = AutoTokenizer.from_pretrained(folders["qwen2"][0])
    changing.chat_template = tokenizer.chat_template.replace(
        "message['content']", "message['content'] | upper"
    )
    with pytest.raises(
        ValueError, match=r"spells a control token, and the chat template does not write it once"
    ):
        render_chat(changing, ["say <|im_end|>"], context=256, variables=TEMPLATE)
    alias = ALIAS.format(control_tokens(tokenizer)["<|im_end|>"])
    with pytest.raises(ValueError, match="this tokenizer cannot read it as text; take it out"):
        render_chat(tokenizer, [f"say <|im_end|> {alias}"], context=256, variables=TEMPLATE)


@pytest.mark.parametrize(
    ("family", "keys", "message"),
    [
        (
            "llama",
            {"architectures": ["Phi3SmallForCausalLM"]},
            "is a Phi3SmallForCausalLM; its attention and norms",
        ),
        ("llama", {"attention_bias": True}, "has biases in its attention's output"),
        ("qwen3", {"attention_bias": True}, "has biases in its attention's output"),
        ("llama", {"mlp_bias": True}, "has biases in its MLPs"),
        ("mistral", {"quantization_config": {"quant_method": "awq"}}, "has quantised weights"),
    ],
)
def test_what_is_not_covered_is_refused_in_one_line(folders, tmp_path, family, keys, message):
    changed(folders[family][0], tmp_path, **keys)
    with pytest.raises(ValueError, match=message) as refusal:
        describe(tmp_path)
    assert "\n" not in str(refusal.value)


def test_context_ends_where_frequencies_begin_to_depend_on_the_batch(folders, tmp_path):
    factors = {"short_factor": [1.0, 1.0], "long_factor": [2.0, 2.0]}
    rope = {"rope_type": "longrope", "rope_theta": 10000.0, "partial_rotary_factor": 0.5, **factors}
    changed(
        folders["phi3"][0],
        tmp_path,
        rope_parameters={**rope, "original_max_position_embeddings": 64},
        original_max_position_embeddings=64,
    )
    assert describe(tmp_path).context == 64
    assert describe(folders["phi3"][0]).context == 256
    assert describe(folders["llama"][0]).context == 256  # scaled once and for all
