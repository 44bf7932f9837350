"""Scores of DIM's candidates on validation prompts, and no more of them than the rule needs (docs/vectors.md).

1. `bypass` and `induce` of every candidate: what lies below its layer runs once for all of them.
2. `needed_scores`: `kl` and `ablation`, which take a whole pass a candidate, of those that they can decide about.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor
from tqdm import tqdm

from steering_study.models.batches import TokenIds, batches_by_length
from steering_study.models.hooks import directional_ablation
from steering_study.models.loading import ChatModel
from steering_study.models.memory import fitting_rows
from steering_study.models.passes import last_logits, prompt_batches
from steering_study.models.residuals import Residuals
from steering_study.vectors.dim import ClassMeans, refusal_metric
from steering_study.vectors.selection import Filters, SelectionRule, fallen, loss_of


def steered_scores(
    model: ChatModel,
    directions: ClassMeans,
    *,
    harmful: Sequence[TokenIds],
    harmless: Sequence[TokenIds],
    refusal_ids: Sequence[int],
    batch_size: int | None,
) -> pd.DataFrame:
    """Mean refusal metric of every candidate: `bypass` on harmful prompts at -1, `induce` on harmless ones at +1.

    Returns:
        One row a candidate: layer, position (negative, from the end), bypass, induce.
    """
    n_layers, n_positions, _ = directions.shape
    found = {
        name: _steered(model, directions, prompts, sign=sign, refusal_ids=refusal_ids, batch_size=batch_size)
        for name, prompts, sign in (("bypass", harmful, -1.0), ("induce", harmless, 1.0))
    }
    places = [(layer, position) for layer in range(n_layers) for position in range(-n_positions, 0)]
    table = pd.DataFrame(places, columns=["layer", "position"])
    return table.assign(**{name: values.flatten().tolist() for name, values in found.items()})


def _steered(
    model: ChatModel,
    directions: ClassMeans,
    prompts: Sequence[TokenIds],
    *,
    sign: float,
    refusal_ids: Sequence[int],
    batch_size: int | None,
) -> Float[Tensor, "layer pos"]:
    n_layers, n_positions, _ = directions.shape
    total = torch.zeros(n_layers, n_positions, dtype=torch.float64)
    rows = None if batch_size is None else max(1, batch_size // n_positions)
    fitting = fitting_rows(model, rows, n_tokens=max(map(len, prompts)))
    batches = list(batches_by_length(prompts, batch_size=fitting))
    with tqdm(total=len(batches) * n_layers, desc="candidates", disable=None, leave=False) as bar:
        for batch in batches:
            stream = Residuals(model, [prompts[i] for i in batch])
            for layer in range(n_layers):
                logits = stream.last_logits(sign * directions[layer].float().to(model.device))
                metric = refusal_metric(logits.flatten(0, 1), refusal_ids)
                total[layer] += metric.unflatten(0, (n_positions, -1)).sum(-1).cpu()
                stream.advance()
                bar.update()
    return total / len(prompts)


def ablated_scores(
    model: ChatModel,
    directions: ClassMeans,
    *,
    harmful: Sequence[TokenIds],
    harmless: Sequence[TokenIds],
    refusal_ids: Sequence[int],
    batch_size: int | None,
) -> dict[str, Callable[[int, int], float]]:
    """What measures a candidate, by layer and position, with its direction projected out of the whole model.

    `kl`: KL(next token without || with) in nats on harmless prompts. `ablation`: mean refusal metric on harmful prompts,
    which Arditi et al. minimise.
    """
    n_layers = len(directions)
    batches = {
        label: [batch for _, batch in prompt_batches(model, prompts, batch_size)]
        for label, prompts in (("harmful", harmful), ("harmless", harmless))
    }
    base: list[Tensor] = []

    def ablated(label: str, layer: int, position: int) -> list[Tensor]:
        s = directions[layer, position].float().to(model.device)
        return [
            last_logits(
                model, batch, hooks=directional_ablation(s.expand(len(batch.ids), -1), n_layers=n_layers)
            )
            for batch in batches[label]
        ]

    def kl(layer: int, position: int) -> float:
        if not base:
            base.extend(last_logits(model, batch).log_softmax(-1) for batch in batches["harmless"])
        parts = [
            (p.exp() * (p - logits.log_softmax(-1))).sum(-1)
            for p, logits in zip(base, ablated("harmless", layer, position), strict=True)
        ]
        return float(torch.cat(parts).double().mean())

    def ablation(layer: int, position: int) -> float:
        parts = [refusal_metric(logits, refusal_ids) for logits in ablated("harmful", layer, position)]
        return float(torch.cat(parts).mean())

    return {"kl": kl, "ablation": ablation}


def needed_scores(
    table: pd.DataFrame,
    measures: dict[str, Callable[[int, int], float]],
    *,
    rule: SelectionRule,
    filters: Filters,
    n_layers: int,
    wanted: Sequence[tuple[int, int]] = (),
    every: bool = False,
) -> tuple[pd.DataFrame, list[int]]:
    """Add `kl` and `ablation` where the rule's choice can depend on them; elsewhere they are NaN.

    Candidates that pass what is known of them are taken by their loss, the best first, and measured until one passes: none behind it can be
    selected. The choice is that of the whole table (a test).

    Args:
        table: layer, position, bypass, induce.
        wanted: layers and positions that are measured in any case.
        every: measure all.

    Returns:
        The table, and the rows whose kl was not measured.
    """
    table = table.assign(kl=float("nan"), ablation=float("nan"))
    missing: dict[str, set[int]] = {name: set(table.index) for name in measures}

    def measure(name: str, row: int) -> None:
        if row in missing[name]:
            missing[name].remove(row)
            layer, position = int(table.at[row, "layer"]), int(table.at[row, "position"])
            table.loc[row, name] = measures[name](layer, position)

    rows = [int(row) for row in table.index]
    open_rows = [row for row in rows if not fallen(table.loc[row], filters, n_layers, but=("kl",))]
    if rule == "arditi":  # its loss
        for row in rows if every or not open_rows else open_rows:
            measure("ablation", row)
    loss = _finite(loss_of(table, rule))
    for row in map(int, loss[loss.index.isin(open_rows)].sort_values(kind="stable").index):
        measure("kl", row)
        if not fallen(table.loc[row], filters, n_layers):
            break
    else:
        if rule == "arditi" and open_rows:  # none passes, so all are looked at
            for row in rows:
                if row not in open_rows:
                    measure("ablation", row)
            loss = _finite(loss_of(table, rule))
        if len(loss):
            measure("kl", int(loss.idxmin()))
    asked = {row for row in rows if (table.at[row, "layer"], table.at[row, "position"]) in set(wanted)}
    for name in measures:
        for row in rows if every else sorted(asked):
            measure(name, row)
    return table, sorted(missing["kl"])


def _finite(values: pd.Series) -> pd.Series:
    return values[np.isfinite(values)]
