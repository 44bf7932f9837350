"""Frozen and cleared decoding by plain Hugging Face models: both prefixes run again for every token, no cache.

Nothing of the package is used. One prompt at a time: the base run leaves the outputs of its query, key and value
projections; in the steered run each attention module is run twice, as it is and with those put in or the vector's direct term
taken out, and its heads are taken from either. MLP inputs are changed in front of or behind their norm.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

Nodes = Mapping[int, Sequence[int]]  # heads by block


def freeze_slowly(
    plain: Any,
    prompt: Sequence[int],
    *,
    shift: Tensor,
    scope: str,
    layer: int,
    held: str,
    clears: Sequence[str],
    heads: Nodes,
    mlps: Sequence[int],
    max_new_tokens: int,
    end_ids: Sequence[int],
) -> list[int]:
    """Greedy tokens.

    Args:
        held: letters of what attention takes from the base run: q, k, v.
        clears: of svv, mlp, mlp_pre_norm.
        heads, mlps: where, by block.
    """
    ids = list(prompt)
    for _ in range(max_new_tokens):
        n_pos = len(ids)
        is_response = torch.arange(n_pos) >= len(prompt) - 1
        wanted = {"all": torch.ones(n_pos, dtype=torch.bool), "prompt": ~is_response, "response": is_response}
        at = wanted[scope][:, None] * shift
        base = _record_base(plain, ids)
        logits = _run_steered(plain, ids, at, base, layer, held, clears, heads, mlps)
        ids.append(int(logits.argmax()))
        if ids[-1] in end_ids:
            break
    return ids[len(prompt) :]


def patterns(plain: Any, ids: Sequence[int], *, shift: Tensor | None, layer: int) -> Tensor:
    """Attention weights [block, head, query, key] of a plain run, steered at every position or not."""
    handles = []
    if shift is not None:
        handles.append(_before(plain.model.layers[layer], lambda x: x + shift))
    try:
        with torch.no_grad():
            found = plain(torch.tensor([list(ids)]), use_cache=False, output_attentions=True).attentions
    finally:
        _remove(handles)
    return torch.cat(list(found))


def _record_base(plain: Any, ids: Sequence[int]) -> dict[tuple[int, str], Tensor]:
    store: dict[tuple[int, str], Tensor] = {}
    handles = []
    for i, block in enumerate(plain.model.layers):
        for letter in "qkv":
            projection, part = _projection(block.self_attn, letter)

            def keep(
                module: Any, args: Any, output: Tensor, key: Any = (i, letter), part: Any = part
            ) -> None:
                store[key] = output[..., part].clone()

            handles.append(projection.register_forward_hook(keep))
    _forward(plain, ids, handles)
    return store


def _run_steered(
    plain: Any,
    ids: Sequence[int],
    shift: Tensor,
    base: Mapping[tuple[int, str], Tensor],
    layer: int,
    held: str,
    clears: Sequence[str],
    heads: Nodes,
    mlps: Sequence[int],
) -> Tensor:
    handles = [_before(plain.model.layers[layer], lambda x: x + shift)]
    for i in range(layer, len(plain.model.layers)):
        block = plain.model.layers[i]
        if heads.get(i) and (held or "svv" in clears):
            handles.extend(_mixed_attention(block, i, shift, base, held, "svv" in clears, heads[i]))
        norm = getattr(block, "pre_feedforward_layernorm", None) or block.post_attention_layernorm
        if i in mlps and "mlp_pre_norm" in clears:
            handles.append(_before(norm, lambda x: x - shift))
        if i in mlps and "mlp" in clears:
            handles.append(_cleared_mlp(norm, shift))
    return _forward(plain, ids, handles)


def _mixed_attention(
    block: Any,
    i: int,
    shift: Tensor,
    base: Mapping[tuple[int, str], Tensor],
    held: str,
    clears_values: bool,
    heads: Sequence[int],
) -> list[Any]:
    """Run the attention of a block a second time, changed, and take some heads from there."""
    attn = block.self_attn
    entering: list[Tensor] = []
    keep = block.input_layernorm.register_forward_pre_hook(lambda module, args: entering.append(args[0]))

    def attend_again(module: Any, args: Any, kwargs: Any, output: Any) -> Any:
        own = _mixed_heads(attn, args, kwargs, [])
        hooks = _changes(block, i, entering[-1], shift, base, held, clears_values)
        changed = _mixed_heads(attn, args, kwargs, hooks)
        d_head = attn.head_dim
        z = own.unflatten(-1, (-1, d_head)).clone()
        z[:, :, list(heads)] = changed.unflatten(-1, (-1, d_head))[:, :, list(heads)]
        return (attn.o_proj(z.flatten(-2)), *output[1:])

    return [keep, attn.register_forward_hook(attend_again, with_kwargs=True)]


def _changes(
    block: Any, i: int, resid: Tensor, shift: Tensor, base: Any, held: str, clears_values: bool
) -> list[Any]:
    attn, handles = block.self_attn, []
    for letter in held:
        handles.append(_changed_part(attn, letter, lambda own, weight, key=(i, letter): base[key]))
    if clears_values:
        taken = shift * _factor(block.input_layernorm) / _rms(resid, block.input_layernorm)
        handles.append(_changed_part(attn, "v", lambda own, weight: own - taken @ weight.T))
    return handles


def _changed_part(attn: Any, letter: str, change: Callable[[Tensor, Tensor], Tensor]) -> Any:
    """Change the queries, keys or values that a projection gives, seeing its weight."""
    projection, part = _projection(attn, letter)

    def put(module: Any, args: Any, output: Tensor) -> Tensor:
        output = output.clone()
        output[..., part] = change(output[..., part], module.weight[part])
        return output

    return projection.register_forward_hook(put)


def _projection(attn: Any, letter: str) -> tuple[Any, slice]:
    """The module that makes queries, keys or values, and which of its outputs they are (Phi-3 has one for all)."""
    if hasattr(attn, f"{letter}_proj"):
        return getattr(attn, f"{letter}_proj"), slice(None)
    n_values = attn.num_key_value_heads * attn.head_dim
    ends = {"q": (None, -2 * n_values), "k": (-2 * n_values, -n_values), "v": (-n_values, None)}
    return attn.qkv_proj, slice(*ends[letter])


def _mixed_heads(attn: Any, args: Any, kwargs: Any, handles: list[Any]) -> Tensor:
    """What the output projection of an attention module reads."""
    found: list[Tensor] = []
    handles.append(attn.o_proj.register_forward_pre_hook(lambda module, inputs: found.append(inputs[0])))
    try:
        attn.forward(*args, **kwargs)
    finally:
        _remove(handles)
    return found[0]


def _cleared_mlp(norm: Any, shift: Tensor) -> Any:
    def clear(module: Any, args: Any, output: Tensor) -> Tensor:
        return output - shift * _factor(norm) / _rms(args[0], norm)

    return norm.register_forward_hook(clear)


def _factor(norm: Any) -> Tensor:
    return 1 + norm.weight if "Gemma" in type(norm).__name__ else norm.weight


def _rms(x: Tensor, norm: Any) -> Tensor:
    eps = getattr(norm, "variance_epsilon", None) or norm.eps
    return (x.pow(2).mean(-1, keepdim=True) + eps).sqrt()


def _before(module: Any, change: Callable[[Tensor], Tensor]) -> Any:
    def hook(_: Any, args: tuple[Tensor, ...], kwargs: dict[str, Any]) -> Any:
        if args:
            return (change(args[0]), *args[1:]), kwargs
        return args, {**kwargs, "hidden_states": change(kwargs["hidden_states"])}

    return module.register_forward_pre_hook(hook, with_kwargs=True)


def _forward(plain: Any, ids: Sequence[int], handles: list[Any]) -> Tensor:
    try:
        with torch.no_grad():
            return plain(torch.tensor([list(ids)]), use_cache=False).logits[0, -1]
    finally:
        _remove(handles)


def _remove(handles: list[Any]) -> None:
    for handle in handles:
        handle.remove()
