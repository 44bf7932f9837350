"""Describe and load a model: the only module that names a device or a dtype.

Weights come as safetensors from a local folder or a hub id; code in a model repository is never run. The
model is driven through TransformerLens' `TransformerBridge`, on raw Hugging Face weights; what decodes, scores texts or
attributes computes with the same weights in `blocks`.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from huggingface_hub.utils import logging as hub_logging
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    PreTrainedTokenizerBase,
)
from transformers.utils import GENERATION_CONFIG_NAME, SAFE_WEIGHTS_INDEX_NAME, SAFE_WEIGHTS_NAME
from transformers.utils.logging import disable_progress_bar

from steering_study.adapters import has_adapter
from steering_study.artifacts import read_json, sha256_of
from steering_study.chat import Variables, closing_id, control_tokens, post_instruction_ids, render_chat
from steering_study.prompts import TokenIds

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

disable_progress_bar()  # of the weight loader; it says nothing that the job's own bar does not
hub_logging.set_verbosity_error()  # every retry has a line; `reachable` has the one that counts

FAMILIES = (
    "LlamaForCausalLM",
    "Gemma2ForCausalLM",
    "Qwen2ForCausalLM",
    "Qwen3ForCausalLM",
    "MistralForCausalLM",
    "Phi3ForCausalLM",
)
DTYPES = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


@dataclass(frozen=True)
class ModelCard:
    """What the study needs to know of a model without loading its weights."""

    name: str
    source: str  # local folder or hub id
    revision: str  # hub commit, or sha256 of a local folder's weights
    architecture: str
    dtype: str
    n_layers: int
    n_heads: int
    n_kv_heads: int
    d_model: int
    d_head: int
    d_mlp: int
    d_vocab: int
    context: int
    end_of_turn_ids: TokenIds
    post_instruction_ids: TokenIds
    post_instruction_tokens: tuple[str, ...]
    template: Variables  # what the chat template is given
    template_sha256: str
    control_tokens: tuple[str, ...]  # as they are spelled; in a prompt they are text

    def to_json(self) -> dict[str, Any]:
        """The card as plain JSON values."""
        return json.loads(json.dumps(asdict(self)))

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> ModelCard:
        """The card from `to_json`'s value."""
        lists = {key: tuple(item) for key, item in value.items() if isinstance(item, list)}
        return cls(**{**value, **lists})


@dataclass(frozen=True)
class ChatModel:
    """A loaded model: bridge with frozen weights, the study's own tokenizer, and its card."""

    bridge: TransformerBridge
    tokenizer: PreTrainedTokenizerBase
    card: ModelCard

    @property
    def device(self) -> torch.device:
        """Where the weights live."""
        return next(self.bridge.original_model.parameters()).device

    @property
    def hf_config(self) -> Any:
        """The Hugging Face config; the bridge's own lacks some of its fields."""
        return self.bridge.original_model.config

    @property
    def pad_id(self) -> int:
        """Token that fills rows; any that has a row of weights will do, as it is masked."""
        pad = cast("int | None", self.tokenizer.pad_token_id)
        return 0 if pad is None or not 0 <= pad < self.card.d_vocab else pad

    def render(self, texts: Sequence[str]) -> list[TokenIds]:
        """Prompts as token ids through the chat template (`render_chat`).

        Raises:
            ValueError: if a prompt has a token that the model has no weights for, or leaves no room for an answer.
        """
        card = self.card
        rows = render_chat(self.tokenizer, texts, context=card.context, variables=card.template)
        for text, ids in zip(texts, rows, strict=True):
            check_token_ids(ids, self.tokenizer, d_vocab=card.d_vocab, where=f"prompt {text[:60]!r}...")
        return rows


def describe_model(
    name: str, source: str, *, revision: str | None, dtype: str, template: Variables
) -> ModelCard:
    """Read a model's config and tokenizer into a card.

    Args:
        template: what the chat template is given beside the message (`render_text`).

    Raises:
        ValueError: if the model cannot be reached, its family or its variant is not supported, it has no chat
            template or end-of-turn token, the template fails, it is an adapter, or a local folder holds no safetensors, or
            some that would not be read.
    """
    if dtype not in DTYPES:
        raise ValueError(f"dtype={dtype!r} of model {name!r} is unknown; expected one of {', '.join(DTYPES)}")
    refuse_adapter(name, source, revision=revision)
    with reachable(name, source, revision=revision):
        config = AutoConfig.from_pretrained(source, revision=revision, trust_remote_code=False)
        tokenizer = AutoTokenizer.from_pretrained(source, revision=revision, trust_remote_code=False)
    architecture = (config.architectures or ["none"])[0]
    if architecture not in FAMILIES:
        raise ValueError(
            f"model {name!r} is a {architecture}; its attention and norms are not covered. Supported: {', '.join(FAMILIES)}"
        )
    _check_variant(name, config)
    if tokenizer.chat_template is None:
        raise ValueError(f"model {name!r} has no chat template; the study needs an instruction-tuned model")
    if Path(source).is_dir() and not list(Path(source).glob("*.safetensors")):
        raise ValueError(
            f"model {name!r}: no *.safetensors in {source}; convert the weights, pickles are refused"
        )
    check_weight_files(f"model {name!r}", Path(source))
    suffix = post_instruction_ids(tokenizer, variables=template)
    check_token_ids(suffix, tokenizer, d_vocab=config.vocab_size, where=f"chat template of model {name!r}")
    return ModelCard(
        name=name,
        source=source,
        revision=_revision(source, config),
        architecture=architecture,
        dtype=dtype,
        n_layers=config.num_hidden_layers,
        n_heads=config.num_attention_heads,
        n_kv_heads=config.num_key_value_heads,
        d_model=config.hidden_size,
        d_head=getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads,
        d_mlp=config.intermediate_size,
        d_vocab=config.vocab_size,
        context=_context(config),
        end_of_turn_ids=_end_of_turn_ids(name, source, revision, tokenizer, template),
        post_instruction_ids=suffix,
        post_instruction_tokens=tuple(tokenizer.convert_ids_to_tokens(list(suffix))),
        template=template,
        template_sha256=hashlib.sha256(str(tokenizer.chat_template).encode()).hexdigest(),
        control_tokens=tuple(sorted(control_tokens(tokenizer))),
    )


def check_token_ids(
    ids: Sequence[int], tokenizer: PreTrainedTokenizerBase, *, d_vocab: int, where: str
) -> None:
    """Refuse tokens that the tokenizer knows and the model has no weights for.

    Raises:
        ValueError: naming the first of them, and where it stands.
    """
    if beyond := [each for each in ids if each >= d_vocab]:
        raise ValueError(
            f"{where}: token {tokenizer.convert_ids_to_tokens(beyond[0])!r} has id {beyond[0]}, but the model has weights "
            f"for {d_vocab} tokens; take the tokenizer that belongs to the model"
        )


def refuse_adapter(name: str, source: str, *, revision: str | None) -> None:
    """Refuse an adapter, alone or beside a whole model: nothing would read its weights.

    Raises:
        ValueError: saying so.
    """
    if has_adapter(source, revision=revision):
        raise ValueError(
            f"model {name!r}: {source} holds a low-rank adapter (adapter_config.json), which is not read; merge it into its "
            "base model, or take its files out"
        )


def load_model(card: ModelCard, *, device: str | None = None) -> ChatModel:
    """Load the weights of a card's model, frozen, on a GPU where there is one.

    Raises:
        ValueError: if the model cannot be reached, its weights are no longer those of the card, not all there, not all
            read or not finite.
    """
    device = device or best_device()
    local = Path(card.source).is_dir()
    revision = None if local else card.revision
    if local and (found := _folder_revision(Path(card.source))) != card.revision:
        raise ValueError(
            f"weights in {card.source} have sha256 {found[:12]}, the card expects {card.revision[:12]}; "
            f"delete results/{card.name}/model.json and run again"
        )
    with reachable(card.name, card.source, revision=revision):
        loaded = load_weights(AutoModelForCausalLM, card.source, revision=revision, dtype=DTYPES[card.dtype])
        tokenizer = AutoTokenizer.from_pretrained(card.source, revision=revision, trust_remote_code=False)
    weights = require_whole(loaded, name=f"model {card.name!r}")
    torch.nn.Module.to(weights, device)
    bridge = bridge_of(weights, tokenizer, name=card.source)
    return ChatModel(bridge=bridge, tokenizer=tokenizer, card=card)


@dataclass(frozen=True)
class Loaded:
    """A model, and where its files and its config disagree.

    `lacking`: weights that the files do not hold, or hold in another shape; transformers has drawn those at random.
    `unread`: weights of the files that the model has no place for.
    """

    model: Any
    lacking: Sequence[str]
    unread: Sequence[str]


def load_weights(auto_class: Any, source: str, *, revision: str | None, dtype: torch.dtype) -> Loaded:
    """Load a model from safetensors alone, without code of its repository.

    Args:
        auto_class: one of transformers' classes with `from_pretrained`.
    """
    model, found = auto_class.from_pretrained(
        source,
        revision=revision,
        dtype=dtype,
        use_safetensors=True,
        trust_remote_code=False,
        ignore_mismatched_sizes=True,
        output_loading_info=True,
    )
    lacking = sorted({*found["missing_keys"], *(key for key, *_ in found["mismatched_keys"])})
    return Loaded(model, lacking, sorted(found["unexpected_keys"]))


def require_whole(loaded: Loaded, *, name: str) -> Any:
    """The model, unless its weights are partly random, not all read or not finite.

    Raises:
        ValueError: naming the first such weight.
    """
    if loaded.lacking:
        raise ValueError(
            f"{name}: its safetensors lack {len(loaded.lacking)} weights that its config.json asks for, or hold them in another "
            f"shape, such as {loaded.lacking[0]!r}; fetch the model again, or correct the folder"
        )
    if loaded.unread:
        raise ValueError(
            f"{name}: its safetensors hold {len(loaded.unread)} weights that its config.json has no place for, such as "
            f"{loaded.unread[0]!r}, so it would be another model than its files; correct config.json, or fetch the model again"
        )
    for key, weight in loaded.model.named_parameters():
        if not weight.isfinite().all():
            raise ValueError(f"{name}: weight {key!r} holds NaN or infinity; fetch the model again")
    return loaded.model


def refuse_code(error: Exception, name: str) -> None:
    """Say in place of transformers, which proposes to trust it, that code of a model's repository is never run.

    Raises:
        ValueError: if the error says that the model needs such code.
    """
    if "trust_remote_code" in str(error):
        raise ValueError(
            f"{name} needs code of its own repository, which is never run; take a model that transformers itself knows"
        ) from error


def read_model(card: Path) -> ChatModel:
    """Load the model of a card's file (`load_model`)."""
    return load_model(ModelCard.from_json(read_json(card)))


def best_device() -> str:
    """A GPU where there is one."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def bridge_of(weights: Any, tokenizer: PreTrainedTokenizerBase, *, name: str) -> TransformerBridge:
    """Wrap a Hugging Face model in a bridge and freeze it; `weights` is rewired in place."""
    from transformer_lens.model_bridge import TransformerBridge

    device = next(weights.parameters()).device
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # notices of the library about defaults that we do not use
        bridge = TransformerBridge.boot_transformers(
            name, hf_model=weights, tokenizer=tokenizer, device=str(device)
        )
    bridge.requires_grad_(False)
    return bridge.eval()


@contextmanager
def reachable(name: str, source: str, *, revision: str | None) -> Iterator[None]:
    """Turn the many ways in which a model cannot be had into one line that says what to do."""
    where = f"{source} at revision {revision}" if revision else source
    try:
        yield
    except SafetensorError as error:
        raise ValueError(
            f"model {name!r}: a weight file of {where} is no readable safetensors file ({error}); fetch it again"
        ) from error
    except (OSError, ValueError) as error:
        refuse_code(error, f"model {name!r}: {where}")
        if Path(source).is_dir():
            raise ValueError(f"model {name!r} in folder {where} cannot be read: {error}") from error
        raise ValueError(
            f"model {name!r}: {where} is neither a local folder nor reachable on the hub. Give a local folder in "
            "config: model_options.<name>.source, or accept the model's licence on its hub page, set HF_TOKEN "
            "and make sure that HF_HUB_OFFLINE is not 1"
        ) from error


def _check_variant(name: str, config: Any) -> None:
    """Refuse what a supported family may have and `blocks` has not.

    Raises:
        ValueError: naming it.
    """
    for key, meaning in (
        ("attention_bias", "biases in its attention's output"),
        ("mlp_bias", "biases in its MLPs"),
        ("quantization_config", "quantised weights"),
    ):
        if getattr(config, key, None):
            raise ValueError(
                f"model {name!r} has {meaning} ({key} in its config.json), which are not covered; take a "
                "checkpoint without them"
            )


def check_weight_files(name: str, folder: Path) -> None:
    """Refuse weight files of a local folder that transformers would not read, as where one model was saved over another.

    Raises:
        ValueError: naming the first of them.
    """
    whole, index = folder / SAFE_WEIGHTS_NAME, folder / SAFE_WEIGHTS_INDEX_NAME
    if whole.is_file():
        read = {whole.name}
    elif index.is_file():
        try:
            read = set(json.loads(index.read_text("utf-8"))["weight_map"].values())
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(
                f"{name}: {index} does not say which file holds each weight; fetch it again"
            ) from error
    else:
        return
    # consolidated*.safetensors are the same weights as Mistral's own code names them
    found = {path.name for path in folder.glob("*.safetensors") if not path.name.startswith("consolidated")}
    if unread := sorted(found - read):
        raise ValueError(
            f"{name}: {folder} holds {len(unread)} weight files that would not be read, such as {unread[0]}, beside "
            f"{min(read)}; take out those that do not belong to it"
        )


def _context(config: Any) -> int:
    """Positions that a text may take.

    Where the rotary frequencies change with the length of the longest text beside it (Phi-3's longrope), as far as they
    do not: beyond, a text would depend on its batch.
    """
    rope = config.rope_parameters
    if rope.get("rope_type") in ("longrope", "dynamic"):
        return rope.get("original_max_position_embeddings") or config.max_position_embeddings
    return config.max_position_embeddings


def _revision(source: str, config: Any) -> str:
    if Path(source).is_dir():
        return _folder_revision(Path(source))
    return getattr(config, "_commit_hash", None) or "unknown"


def _folder_revision(folder: Path) -> str:
    """Sha256 over the digests of the weight and tokenizer files of a local model."""
    names = sorted([*folder.glob("*.safetensors"), *folder.glob("*.json"), *folder.glob("*.jinja")])
    return hashlib.sha256("".join(f"{p.name} {sha256_of(p)}\n" for p in names).encode()).hexdigest()


def _end_of_turn_ids(
    name: str,
    source: str,
    revision: str | None,
    tokenizer: PreTrainedTokenizerBase,
    template: Variables,
) -> TokenIds:
    """End-of-turn ids of the generation config, or of the tokenizer where it lists none, and what the template closes with.

    The model was taught the template's token: a list without it would let every text run on behind a hidden end.
    """
    try:
        listed = GenerationConfig.from_pretrained(source, revision=revision or "main").eos_token_id
    except OSError as error:
        if (Path(source) / GENERATION_CONFIG_NAME).is_file():
            raise ValueError(
                f"model {name!r}: {source}/{GENERATION_CONFIG_NAME} cannot be read ({error}); correct or delete it"
            ) from error
        listed = None
    found = [tokenizer.eos_token_id] if listed in (None, []) else listed
    ids = [*(found if isinstance(found, list) else [found]), closing_id(tokenizer, variables=template)]
    known = tuple(dict.fromkeys(int(each) for each in ids if each is not None))
    if not known:
        raise ValueError(
            f"model {name!r} names no end-of-turn token in generation_config.json, its tokenizer or its chat template"
        )
    return known
