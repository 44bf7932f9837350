"""Low-rank adapters, merged into the weights they change (LoRA, arXiv:2106.09685).

    W <- W + (alpha / r) B A

StrongREJECT is published as such an adapter alone. Merging it takes a page; nothing else of a library for
adapters is needed. Only plain adapters of linear layers are merged, any other kind is refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from safetensors.torch import load_file
from torch import Tensor
from transformers.utils import cached_file

_CONFIG, _WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
_PREFIX = "base_model.model."
# Options that change the formula above, and the value that leaves it as it is.
_PLAIN_OPTIONS = {
    "use_rslora": False,
    "use_dora": False,
    "bias": "none",
    "fan_in_fan_out": False,
    "modules_to_save": None,
    "rank_pattern": {},
    "alpha_pattern": {},
    "lora_bias": False,
    "use_qalora": False,
    "layer_replication": None,
    "target_parameters": None,
    "trainable_token_indices": None,
    "alora_invocation_tokens": None,
}
# Starts of training that change the base model's weights as well, of which the file does not tell.
_STARTS_OF_THE_BASE = ("pissa", "olora", "corda", "loftq")


@dataclass(frozen=True)
class Adapter:
    """A low-rank change of a model's weights.

    Attributes:
        base_model: the model that it was trained on, as the adapter names it.
        scale: alpha / r.
        factors: the matrices A and B by the name of the layer they change.
    """

    base_model: str
    scale: float
    factors: Mapping[str, tuple[Float[Tensor, "r d_in"], Float[Tensor, "d_out r"]]]


def has_adapter(source: str, *, revision: str | None) -> bool:
    """Whether a local folder or hub repository holds an adapter in place of a whole model."""
    try:
        _file(source, _CONFIG, revision=revision)
    except OSError:
        return False  # also where nothing can be reached: loading the model will say so
    return True


def read_adapter(source: str, *, revision: str | None) -> Adapter:
    """Read an adapter from a local folder or the hub.

    Raises:
        ValueError: if the adapter is not a plain low-rank one.
        OSError: if one of its files cannot be reached.
    """
    config = json.loads(_file(source, _CONFIG, revision=revision).read_text("utf-8"))
    kinds = {
        "r": (int, "a whole number"),
        "lora_alpha": (int | float, "a number"),
        "base_model_name_or_path": (str, "the id or folder of a model"),
    }
    if wrong := [key for key, (kind, _) in kinds.items() if not isinstance(config.get(key), kind)]:
        raise ValueError(
            f"adapter {source}: {wrong[0]} of its {_CONFIG} is {config.get(wrong[0])!r}, expected {kinds[wrong[0]][1]}; fetch it again"
        )
    changed = {
        key: config[key] for key, plain in _PLAIN_OPTIONS.items() if (config.get(key) or plain) != plain
    }
    if str(config.get("init_lora_weights")).lower().startswith(_STARTS_OF_THE_BASE):
        changed["init_lora_weights"] = config["init_lora_weights"]
    if config.get("peft_type") != "LORA" or changed:
        raise ValueError(
            f"adapter {source} is {config.get('peft_type')} with {changed}; expected a plain LORA"
        )
    tensors = load_file(_file(source, _WEIGHTS, revision=revision))
    factors = {}
    for key in [key for key in tensors if key.endswith(".lora_A.weight")]:
        other = key.replace(".lora_A.", ".lora_B.")
        if other not in tensors:
            continue
        layer = key.removeprefix(_PREFIX).removesuffix(".lora_A.weight")
        factors[layer] = a, b = tensors.pop(key), tensors.pop(other)
        if a.ndim != 2 or b.ndim != 2 or not len(a) == b.shape[1] == config["r"]:
            raise ValueError(
                f"adapter {source}: the factors of {layer} have shapes {tuple(a.shape)} and {tuple(b.shape)}, expected the rank "
                f"r = {config['r']} of adapter_config.json between them; fetch it again"
            )
        if not (a.isfinite().all() and b.isfinite().all()):
            raise ValueError(f"adapter {source}: the factors of {layer} hold NaN or infinity; fetch it again")
    if tensors or not factors:
        raise ValueError(
            f"adapter {source} holds {sorted(tensors)[:3]} beside {len(factors)} pairs of factors lora_A and lora_B; expected "
            "nothing but such pairs; fetch it again"
        )
    return Adapter(config["base_model_name_or_path"], config["lora_alpha"] / config["r"], factors)


@torch.no_grad()
def merge_adapter(model: Any, adapter: Adapter) -> None:
    """Add the adapter to the model's weights, in place; the product is taken in float32.

    Raises:
        ValueError: if the model lacks a layer that the adapter changes, or has it in another shape.
    """
    parameters = dict(model.named_parameters())
    for layer, (a, b) in adapter.factors.items():
        change = adapter.scale * (b.float() @ a.float())
        weight = parameters.get(f"{layer}.weight")
        if weight is None or weight.shape != change.shape:
            found = None if weight is None else tuple(weight.shape)
            raise ValueError(
                f"the adapter changes {layer} of shape {tuple(change.shape)}, the base model has {found}; "
                f"expected the model {adapter.base_model}"
            )
        weight.copy_(weight.float() + change)


def _file(source: str, filename: str, *, revision: str | None) -> Path:
    path = cached_file(source, filename, revision=revision)
    assert path is not None, "cached_file raises where a file is missing"
    return Path(path)
