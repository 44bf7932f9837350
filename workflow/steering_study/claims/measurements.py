"""What is measured for the paper's claims: each quantity from a model's summary tables, in parts (docs/claims.md).

A part is a method or a pair of methods. Its value is the mean over the main test sets where there are several, with the interval of
a mean of independent estimates, as the sets hold different prompts. Shares are in percent, changes in percentage points.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from steering_study.attention.schemas import ABLATIONS, SVV_CONCEPTS, SVV_TOKENS
from steering_study.circuits.schemas import COMPLETENESS, EDGE_CENSUS, EDGE_SHARES, FAITHFULNESS, OVERLAP
from steering_study.claims.criteria import Part, Quantity
from steering_study.claims.quantities import (
    RETAINED,
    Setting,
    Tables,
    ablation_changes,
    attack_success,
    changed_positions,
    circuit_overlaps,
    circuit_sizes,
    circuits_beside,
    clearing_of_freezing,
    concept_scores,
    cosines,
    edge_counts,
    edge_shares,
    shared_dimensions,
    sparse_effects,
)
from steering_study.sparsity.schemas import IOU, RETENTION
from steering_study.steering.schemas import ASR
from steering_study.store.schema import by_name
from steering_study.vectors.schemas import COSINE

# Summary tables that quantities are read off
TABLES = by_name(
    ASR,
    COSINE,
    FAITHFULNESS,
    OVERLAP,
    EDGE_CENSUS,
    EDGE_SHARES,
    COMPLETENESS,
    SVV_CONCEPTS,
    SVV_TOKENS,
    ABLATIONS,
    RETENTION,
    IOU,
)


@dataclass(frozen=True)
class Measurement:
    """One quantity: where it comes from and how it is read off.

    Attributes:
        label: what it is, as words that follow `more than`.
        tables: names of the summary tables.
        method: page and heading of the documentation with its equation.
        otherwise: why there may be no value although the tables are there.
        measure: its parts; none where the tables lack what it needs.
    """

    label: str
    tables: tuple[str, ...]
    method: str
    otherwise: str
    measure: Callable[[Tables, Setting], list[Part]]


def measure_all(tables: Tables, rules: Mapping[str, str], setting: Setting) -> dict[str, Quantity]:
    """Every quantity of a model.

    Args:
        tables: the summary tables that the study makes.
        rules: the rule that made each.
    """
    found = {}
    for name, each in MEASUREMENTS.items():
        absent = [table for table in each.tables if table not in tables]
        if absent:
            found[name] = Quantity((), f"this study makes no table {', '.join(absent)}")
            continue
        parts = tuple(each.measure(tables, setting))
        made_by = tuple(dict.fromkeys(rules[table] for table in each.tables))
        found[name] = Quantity(parts, "" if parts else each.otherwise, each.tables, made_by)
    return found


_TWO = "it takes two methods"
_CONFIG = "the config leaves it out"
_STEERING, _VECTORS = (
    "docs/steering.md#attack-success-and-flip-rate",
    "docs/vectors.md#controls-and-agreement",
)
_CIRCUITS, _ATTENTION = "docs/circuits.md#faithfulness", "docs/attention.md#freezing-and-clearing"
_SPARSE = "docs/sparsity.md#retention"


def _asr(label: str, condition: str, *, is_steered: bool = True, is_main: bool = True) -> Measurement:
    measure = partial(attack_success, condition=condition, is_steered=is_steered, is_main=is_main)
    return Measurement(label, ("asr",), _STEERING, "prompts.behaviour_sets names no such test set", measure)


def _beside(label: str, kind: str, otherwise: str = _CONFIG) -> Measurement:
    return Measurement(label, ("faithfulness",), _CIRCUITS, otherwise, partial(circuits_beside, kind=kind))


def _shares(label: str, scope: str, end: str, *kinds: str) -> Measurement:
    measure = partial(edge_shares, scope=scope, end=end, kinds=kinds)
    return Measurement(label, ("edge_shares", "edge_census"), _CIRCUITS, _CONFIG, measure)


def _change(label: str, ablation: str) -> Measurement:
    measure = partial(ablation_changes, ablation=ablation)
    return Measurement(label, ("ablations",), _ATTENTION, _CONFIG, measure)


def _sparse(label: str, criterion: str, column: str) -> Measurement:
    measure = partial(sparse_effects, criterion=criterion, column=column)
    otherwise = f"sparsity.retained is not {RETAINED:g}, or {_CONFIG}"
    return Measurement(label, ("retention",), _SPARSE, otherwise, measure)


MEASUREMENTS: dict[str, Measurement] = {
    "unsteered_harmless": _asr("harmless prompts answered without steering", "induce", is_steered=False),
    "unsteered_harmful": _asr("harmful prompts answered without steering", "bypass", is_steered=False),
    "steered_harmless": _asr("harmless prompts answered under steering", "induce"),
    "steered_harmful": _asr("harmful prompts answered under steering", "bypass"),
    "steered_unseen": _asr("unseen harmful prompts answered under steering", "bypass", is_main=False),
    "cosine": Measurement("cosine of two vectors", ("cosine",), _VECTORS, _TWO, cosines),
    "graph_edges": Measurement("edges of the graph", ("edge_census",), _CIRCUITS, _CONFIG, edge_counts),
    "circuit_size": Measurement("size of the circuit", ("faithfulness",), _CIRCUITS, _CONFIG, circuit_sizes),
    "circuit_overlap": Measurement(
        "overlap of two circuits",
        ("faithfulness", "overlap", "edge_census"),
        _CIRCUITS,
        _TWO,
        circuit_overlaps,
    ),
    "interchange": _beside("faithfulness of another method's circuit", "interchanged", _TWO),
    "random_circuit": _beside("faithfulness of random circuits", "random"),
    "complement": _beside("faithfulness of the complement", "complement"),
    "top_out_of_mlps": _shares("top edges out of MLPs", "top_edges", "out", "mlp"),
    "circuit_out_of_mlps": _shares("circuit edges out of MLPs", "circuit", "out", "mlp"),
    "top_into_mlps": _shares("top edges into MLPs", "top_edges", "in", "mlp"),
    "top_into_values": _shares("top edges into values", "top_edges", "in", "attn_v"),
    "circuit_into_mlps": _shares("circuit edges into MLPs", "circuit", "in", "mlp"),
    "circuit_into_values": _shares("circuit edges into values", "circuit", "in", "attn_v"),
    "top_into_qk": _shares("top edges into queries and keys", "top_edges", "in", "attn_q", "attn_k"),
    "circuit_into_qk": _shares("circuit edges into queries and keys", "circuit", "in", "attn_q", "attn_k"),
    "changed_positions": Measurement(
        "positions with another prediction", ("completeness",), _CIRCUITS, _CONFIG, changed_positions
    ),
    "qk": _change("freezing attention weights", "qk"),
    "ov": _change("freezing values", "ov"),
    "svv": _change("clearing values of the vector", "svv"),
    "mlp": _change("clearing MLPs of the vector", "mlp"),
    "svv_of_ov": Measurement(
        "share of the vector in values",
        ("ablations",),
        _ATTENTION,
        "freezing values may take nothing here, and nothing has no share",
        clearing_of_freezing,
    ),
    "svv_concepts": Measurement(
        "concept words of value vectors", ("svv_concepts", "svv_tokens"), _ATTENTION, _CONFIG, concept_scores
    ),
    "largest_sparsity": _sparse("dimensions that may go by the gradient", "gradient", "largest"),
    "gradient_area": _sparse("what the gradient keeps", "gradient", "area"),
    "bottom_k_area": _sparse("what the largest entries keep", "bottom_k", "area"),
    "dropout_area": _sparse("what random dimensions keep", "dropout", "area"),
    "shared_dimensions": Measurement(
        "overlap of kept dimensions", ("iou",), _SPARSE, _TWO, shared_dimensions
    ),
}
