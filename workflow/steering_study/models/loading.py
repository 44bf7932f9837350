"""Load a model: the only module that names a device.

Weights come as safetensors from a local folder or a hub id; code in a model repository is never run. The
model is driven through TransformerLens' `TransformerBridge`, on raw Hugging Face weights; what decodes, scores texts or
attributes computes with the same weights in `blocks`.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase

from steering_study.models.batches import TokenIds
from steering_study.models.card import DTYPES, ModelCard, check_token_ids, folder_revision
from steering_study.models.chat import render_chat
from steering_study.models.hub import reachable
from steering_study.store.artifacts import read_json

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


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


def load_model(card: ModelCard, *, device: str | None = None) -> ChatModel:
    """Load the weights of a card's model, frozen, on a GPU where there is one.

    Raises:
        ValueError: if the model cannot be reached, its weights are no longer those of the card, not all there, not all
            read or not finite.
    """
    device = device or best_device()
    local = Path(card.source).is_dir()
    revision = None if local else card.revision
    if local and (found := folder_revision(Path(card.source))) != card.revision:
        raise ValueError(
            f"weights in {card.source} have sha256 {found[:12]}, the card expects {card.revision[:12]}; "
            f"delete results/{card.name}/model.json and run again"
        )
    with reachable(card.name, card.source, revision=revision):
        loaded = load_weights(AutoModelForCausalLM, card.source, revision=revision, dtype=DTYPES[card.dtype])
    tokenizer = load_tokenizer(card.name, card.source, revision=card.revision)
    weights = require_whole(loaded, name=f"model {card.name!r}")
    torch.nn.Module.to(weights, device)
    bridge = bridge_of(weights, tokenizer, name=card.source)
    return ChatModel(bridge=bridge, tokenizer=tokenizer, card=card)


def load_tokenizer(name: str, source: str, *, revision: str) -> PreTrainedTokenizerBase:
    """The tokenizer of a card's model, whose revision counts on the hub alone.

    Raises:
        ValueError: if it cannot be reached.
    """
    commit = None if Path(source).is_dir() else revision
    with reachable(name, source, revision=commit):
        return AutoTokenizer.from_pretrained(source, revision=commit, trust_remote_code=False)


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
        if (
            not torch.stack(torch.aminmax(weight.detach())).isfinite().all()
        ):  # NaN is both; a pass without a copy
            raise ValueError(f"{name}: weight {key!r} holds NaN or infinity; fetch the model again")
    return loaded.model


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
