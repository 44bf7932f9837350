"""The metric of circuits, and exact effects of sets of edges, on given responses: one base pass a response.

m(C) is the sum of the logit difference over the unmasked response positions when circuit C alone carries steering; M, the
whole graph, is the steered run and the empty circuit the base run. `faithfulness` forms the ratios.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from steering_study.circuits.paired_runs import ForcedRuns, SteeredModel, forced_runs
from steering_study.circuits.patching import SteeredEdges, run_patched
from steering_study.circuits.rankings import MAIN_METRIC
from steering_study.circuits.traces import dense_deltas, source_deltas, whole_rows
from steering_study.models.batches import TokenIds
from steering_study.models.memory import fitting_rows
from steering_study.models.sizes import source_values


def measure_circuits(
    steered: SteeredModel,
    prompts: Sequence[TokenIds],
    responses: Sequence[TokenIds],
    circuits: Bool[np.ndarray, "circuit src dst"],
    *,
    batch_size: int | None,
    max_values: int,
) -> pd.DataFrame:
    """The metric of every circuit on every given response.

    Args:
        batch_size: most responses of a pass; None, as many as memory holds with the changes of all sources.
        max_values: of the sources' changes in one pass; fewer circuits share a pass where they need more, and never
            less than one.

    Returns:
        row (of the responses), circuit (its index), value, base, steer: sums of logit differences over the
        n_positions response positions at which base and steered run predict different tokens.
    """
    order = np.argsort(
        circuits.sum((1, 2)), kind="stable"
    )  # small ones together: what none reads is not computed
    masks = torch.from_numpy(circuits[order])
    tables = []
    n_rows = _rows(steered, prompts, responses, batch_size)
    for runs in forced_runs(steered, prompts, responses, batch_size=n_rows):
        metric = runs.metrics(steered.head, [MAIN_METRIC])[MAIN_METRIC]
        with torch.no_grad():
            base, steer = (metric(steered.head, run.final).sum(-1) for run in (runs.base, runs.steer))
            values = torch.cat(
                [
                    metric(steered.head, final).sum(-1)
                    for final in _final_residuals(steered, runs, masks.to(base.device), max_values)
                ]
            )
        for circuit, sums in zip(order.tolist(), values.tolist(), strict=True):
            tables.append(
                pd.DataFrame(
                    {
                        "row": runs.rows,
                        "circuit": circuit,
                        "value": sums,
                        "base": base.tolist(),
                        "steer": steer.tolist(),
                        "n_positions": metric.mask.sum(-1).tolist(),
                    }
                )
            )
    return pd.concat(tables, ignore_index=True)


def measure_interchange(
    steered: SteeredModel,
    prompts: Sequence[TokenIds],
    responses: Sequence[TokenIds],
    sets: Bool[np.ndarray, "set src dst"],
    *,
    batch_size: int | None,
    max_values: int,
) -> pd.DataFrame:
    """The exact indirect effect of sets of edges, most of them single ones: they alone go from base to steer.

    In the base run the edges of a set get what their sources write in the steered run; what then changes propagates
    through all other edges, as it does in a model.

    Returns:
        row, set (its index), effect (sum of the metric's change over n_positions positions).
    """
    graph, tables = steered.graph, []
    edge_sets, others = torch.from_numpy(sets), torch.from_numpy(graph.edge_mask & ~sets)
    others[:, 0] = False  # resid_steer itself stays at base
    n_rows = _rows(steered, prompts, responses, batch_size)
    for runs in forced_runs(steered, prompts, responses, batch_size=n_rows):
        metric, device = runs.metrics(steered.head, [MAIN_METRIC])[MAIN_METRIC], runs.shift.device
        with torch.no_grad():
            deltas = source_deltas(steered.blocks, runs.base, runs.steer, shift=runs.shift)
            dense = dense_deltas(steered.blocks, deltas, slice(None), dtype=runs.shift.dtype)
            base = metric(steered.head, runs.base.final)
            at_once = _per_pass(graph.n_src, runs.shift, max_values)
            effects = []
            for some, rest in zip(edge_sets.split(at_once), others.split(at_once), strict=True):
                final = run_patched(
                    graph,
                    steered.blocks,
                    runs.base,
                    whole_rows(runs.tail, copies=len(some)),
                    shift=runs.shift,
                    current=rest.to(device),
                    steered=SteeredEdges(some.to(device), dense),
                    positions=runs.positions,
                )
                effects.append((metric(steered.head, final) - base).sum(-1))
        counts = metric.mask.sum(-1).tolist()
        for i, effect in enumerate(torch.cat(effects).tolist()):
            tables.append(pd.DataFrame({"row": runs.rows, "set": i, "effect": effect, "n_positions": counts}))
    return pd.concat(tables, ignore_index=True)


def _final_residuals(
    steered: SteeredModel, runs: ForcedRuns, masks: Bool[Tensor, "circuit src dst"], max_values: int
) -> Iterator[Float[Tensor, "some batch last d_model"]]:
    start = 0
    while start < len(masks):
        end = start + 1
        n_live = int(masks[start].any(1).sum())
        while end < len(masks):  # as many of the next as fit; each reads more sources than the one before
            n_live = int(masks[start : end + 1].any(0).any(1).sum())
            if end - start + 1 > _per_pass(n_live, runs.shift, max_values):
                break
            end += 1
        some = masks[start:end]
        yield run_patched(
            steered.graph,
            steered.blocks,
            runs.base,
            whole_rows(runs.tail, copies=len(some)),
            shift=runs.shift,
            current=some,
            positions=runs.positions,
        )
        start = end


def _rows(
    steered: SteeredModel,
    prompts: Sequence[TokenIds],
    responses: Sequence[TokenIds],
    batch_size: int | None,
) -> int:
    """Responses of a pass."""
    n_tokens = max(len(prompt) + len(response) for prompt, response in zip(prompts, responses, strict=True))
    values = source_values(n_src=steered.graph.n_src, tokens=n_tokens, d_model=steered.model.card.d_model)
    return fitting_rows(steered.model, batch_size, n_tokens=n_tokens, values=values)


def _per_pass(n_live: int, shift: Float[Tensor, "batch pos d_model"], max_values: int) -> int:
    """Circuits whose sources' changes fit."""
    return max(1, max_values // (max(1, n_live) * shift.numel()))
