"""Which candidate of DIM and which trial of a search becomes a method's vector."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

SelectionRule = Literal["paper", "arditi", "flips"]
NOT_NEEDED = "kl not needed, a better one passes"


@dataclass(frozen=True)
class Filters:
    """What a candidate must satisfy: induce > min_induce, kl < max_kl, layer < floor(max_depth * L)."""

    min_induce: float
    max_kl: float
    max_depth: float


def select_candidate(
    scores: pd.DataFrame,
    *,
    rule: SelectionRule,
    filters: Filters,
    n_layers: int,
    unmeasured: Collection[int] = (),
) -> pd.DataFrame:
    """Mark the candidate that the rule selects and say of the others why they fell.

    paper: least sigmoid(bypass) - sigmoid(induce). arditi: least `ablation`, the refusal metric under
    directional ablation (arXiv:2406.11717 and its code). Among the candidates that pass the filters; when
    none passes, among those whose scores are finite, and the reason says so.

    Args:
        scores: layer, position, bypass, induce, kl, ablation; `bypass` may be NaN for the rule "arditi".
        unmeasured: rows whose kl was not needed, as a better candidate passes.

    Returns:
        The scores with kept, reason and selected; one row is selected.
    """
    table = scores.copy()
    table["reason"] = [
        ", ".join(fallen(row, filters, n_layers, but=("kl",) if index in unmeasured else ()))
        or (NOT_NEEDED if index in unmeasured else "")
        for index, row in table.iterrows()
    ]
    loss = loss_of(table, rule)
    known = table["reason"] != NOT_NEEDED
    table.loc[~np.isfinite(loss) & known, "reason"] = "scores are not finite"
    table["kept"] = table["reason"] == ""
    usable = loss[np.isfinite(loss)]
    if usable.empty:
        raise ValueError("no candidate direction has finite scores; look at the activations of this model")
    kept = usable[table["kept"]]
    best = (kept if len(kept) else usable).idxmin()
    table["selected"] = table.index == best
    if kept.empty:
        table.loc[best, "reason"] = (
            f"no candidate passes the filters; best unfiltered ({table.loc[best, 'reason']})"
        )
    return table


def resolve_layers(layers: Sequence[float] | Literal["all"], *, n_layers: int) -> list[int]:
    """Layers named as numbers, as fractions of the depth (0.5: floor(0.5 L)), or all of them; ascending.

    Raises:
        ValueError: if the model does not have one of them.
    """
    if layers == "all":
        return list(range(n_layers))
    found = {int(layer * n_layers) if isinstance(layer, float) else layer for layer in layers}
    if outside := sorted(layer for layer in found if not 0 <= layer < n_layers):
        raise ValueError(
            f"vectors.layers names {outside}, the model has layers 0..{n_layers - 1}; correct the config"
        )
    return sorted(found)


def best_position(candidates: pd.DataFrame, *, layer: int) -> int:
    """Position of the layer's best candidate by the paper's loss, whatever the filters say."""
    rows = candidates[candidates["layer"] == layer]
    return int(rows.loc[(_sigmoid(rows["bypass"]) - _sigmoid(rows["induce"])).idxmin(), "position"])


def impose_candidate(
    table: pd.DataFrame, *, layer: int, position: int, why: str = "published choice"
) -> pd.DataFrame:
    """Select a candidate for another reason; the table still says what the rule would make of it.

    Raises:
        ValueError: if the model has no such candidate.
    """
    hit = (table["layer"] == layer) & (table["position"] == position)
    if not hit.any():
        raise ValueError(
            f"direction at layer {layer}, position {position} is no candidate: layers reach 0..{table['layer'].max()}, "
            f"positions {table['position'].min()}..-1; see config: model_options.<name>.direction"
        )
    reason = table["reason"].where(~hit, [f"{why} ({fell})" if fell else why for fell in table["reason"]])
    return table.assign(selected=hit, reason=reason)


def select_trial(trials: pd.DataFrame) -> pd.DataFrame:
    """Mark the trial of a learned method's search that validation pairs prefer (docs/vectors.md).

    Within each phi the least validation loss, since losses under different phi do not compare; across phi the
    largest match score. A method without phi has one such group.

    Args:
        trials: phi (NaN where the method has none), validation_loss, match_score.
    """
    finite = trials[np.isfinite(trials["validation_loss"])]
    if finite.empty:
        raise ValueError(
            "no trial of the search has a finite validation loss; lower vectors.search.learning_rates"
        )
    within = finite.groupby("phi", dropna=False)["validation_loss"].idxmin()
    best = trials.loc[within, "match_score"].idxmax()
    return trials.assign(selected=trials.index == best)


def fallen(row: pd.Series, filters: Filters, n_layers: int, *, but: Sequence[str] = ()) -> list[str]:
    """The filters that a candidate does not pass, in words.

    Args:
        row: layer, induce and kl.
        but: scores that are not looked at.
    """
    layer, scores = row["layer"], {name: row[name] for name in ("induce", "kl") if name not in but}
    reasons = []
    if layer >= int(filters.max_depth * n_layers):
        reasons.append(f"layer >= {int(filters.max_depth * n_layers)}")
    if scores.get("induce", np.inf) <= filters.min_induce:
        reasons.append(f"induce <= {filters.min_induce:g}")
    if scores.get("kl", -np.inf) >= filters.max_kl:
        reasons.append(f"kl >= {filters.max_kl:g}")
    # NaN is on neither side of a bound: it says nothing of the candidate
    reasons += [f"{name} is not finite" for name, value in scores.items() if not np.isfinite(value)]
    return reasons


def loss_of(table: pd.DataFrame, rule: SelectionRule) -> pd.Series:
    """What the rule's best candidate has least of."""
    return table["ablation"] if rule == "arditi" else _sigmoid(table["bypass"]) - _sigmoid(table["induce"])


def _sigmoid(values: pd.Series) -> pd.Series:
    return 1 / (1 + np.exp(-values))
