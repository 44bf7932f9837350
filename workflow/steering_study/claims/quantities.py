"""How each quantity of the paper's claims is read off a model's summary tables, in parts.

A part is a method or a pair of methods. Its value is the mean over the main test sets where there are several, with the interval of
a mean of independent estimates, as the sets hold different prompts. Shares are in percent, changes in percentage points.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from steering_study.circuits.faithfulness import minimum_faithful
from steering_study.claims.criteria import Part
from steering_study.sparsity.chance import overlap_p_value
from steering_study.sparsity.retention import MAIN_CRITERION, POOLED
from steering_study.sparsity.shared import READ_NEAR, overlaps_near
from steering_study.stats import N_RESAMPLES, Estimate, bootstrap_mean, mean_of_estimates, ratio_of_estimates

CONTROLS = ("none", "random", "shuffled")
UNSTEERED = "none"
CHANGE = ("change_points", "change_low", "change_high")
FAITHFUL, RETAINED = 0.85, 0.9  # of the published claims, whatever the config asks for
Tables = Mapping[str, pd.DataFrame]


@dataclass(frozen=True)
class Setting:
    """What measurements need to know of a study.

    Attributes:
        main_sets: the main test set of each label.
        unseen_sets: test sets of a kind that no prompt behind the vectors is of.
        seed: of bootstrap resamples.
    """

    main_sets: Mapping[str, str]
    unseen_sets: Sequence[str]
    confidence: float
    seed: int


def attack_success(
    tables: Tables, setting: Setting, *, condition: str, is_steered: bool, is_main: bool
) -> list[Part]:
    """ASR in percent on the main test set of the label, or on the unseen ones, a part a method."""
    asr = tables["asr"]
    label = "harmless" if condition == "induce" else "harmful"
    main = asr["dataset"] == setting.main_sets[label]
    if is_steered:
        chosen = main if is_main else asr["dataset"].isin(list(setting.unseen_sets))
        rows = asr[~asr["method"].isin(CONTROLS) & (asr["condition"] == condition) & chosen]
    else:
        rows = asr[(asr["method"] == UNSTEERED) & main]
    return [
        _mean_part(str(method), part, ("asr", "asr_low", "asr_high"), scale=100.0)
        for method, part in rows.groupby("method", sort=False)
    ]


def cosines(tables: Tables, setting: Setting) -> list[Part]:
    """Cosine of every pair of methods; a number of the vectors, without an interval."""
    table = tables["cosine"]
    return [
        Part(_pair(a, b), float(value))
        for a, b, value in table[["method_a", "method_b", "cosine"]].itertuples(index=False, name=None)
        if a < b and not {a, b} & set(CONTROLS)
    ]


def circuit_sizes(tables: Tables, setting: Setting) -> list[Part]:
    """Share of the edges in percent of the smallest own circuit whose mean faithfulness reaches 0.85.

    The interval goes from the smallest circuit whose faithfulness may reach it (upper end of its interval) to the smallest that
    surely does (lower end).
    """
    table = tables["faithfulness"]
    own = table[table["kind"] == "own"]
    parts = []
    for method, rows in own.groupby("vector_method", sort=False):
        curve = {
            size: (100 * float(at["share_of_edges"].iloc[0]), _faithfulness(at), int(at["n"].sum()))
            for size, at in rows.groupby("nominal_edges")
        }
        # value, lower and upper end of the size: by the estimate, the upper and the lower end of faithfulness
        ends = [
            minimum_faithful(list(curve), [each[1][place] for each in curve.values()], threshold=FAITHFUL)
            for place in (0, 2, 1)
        ]
        if None not in ends:
            shares = [curve[end][0] for end in ends]
            parts.append(Part(str(method), *shares, n=curve[ends[0]][2]))
    return parts


def circuits_beside(tables: Tables, setting: Setting, *, kind: str) -> list[Part]:
    """Mean faithfulness over the test sets of what stands beside minimum-faithful circuits.

    Of random circuits the draws are averaged, their intervals as well, as they are judged on the same responses.
    """
    table = tables["faithfulness"]
    rows = table[table["kind"] == kind]
    parts = []
    for (vector, circuit), of_pair in rows.groupby(["vector_method", "circuit_method"], sort=False):
        by_set = of_pair.groupby("dataset", sort=False)[["faithfulness", "low", "high", "n"]].mean()
        name = str(vector) if vector == circuit else f"{vector} in {circuit}"
        parts.append(Part(name, *_faithfulness(by_set), n=int(by_set["n"].sum())))
    return parts


def circuit_overlaps(tables: Tables, setting: Setting) -> list[Part]:
    """Overlap in percent of every pair of methods' minimum-faithful circuits, with the hypergeometric tail; a count."""
    n_edges = int(tables["edge_census"].query("end == 'in'")["edges"].sum())
    smallest = tables["faithfulness"].query("minimum").groupby("vector_method", sort=False)["n_edges"].first()
    table = tables["overlap"].drop_duplicates(["method_a", "method_b", "n_edges_a", "n_edges_b"])
    table = table.set_index(["method_a", "method_b", "n_edges_a", "n_edges_b"])
    parts = []
    for a, b in itertools.combinations(sorted(smallest.index), 2):
        n_a, n_b = int(smallest[a]), int(smallest[b])
        row = table.loc[(a, b, n_a, n_b)]
        n_shared = round(float(row["overlap"]) * min(n_a, n_b))
        parts.append(
            Part(
                _pair(a, b),
                100 * float(row["overlap"]),
                n=min(n_a, n_b),
                chance=100 * float(row["chance"]),
                p_value=overlap_p_value(n_shared, n_a, n_b, n_edges),
            )
        )
    return parts


def edge_counts(tables: Tables, setting: Setting) -> list[Part]:
    """Edges of the whole graph."""
    census = tables["edge_census"]
    return [Part("graph", float(census.loc[census["end"] == "in", "edges"].sum()))]


def edge_shares(
    tables: Tables, setting: Setting, *, scope: str, end: str, kinds: Sequence[str]
) -> list[Part]:
    """Share in percent of edges at whose end stands a kind of node; by chance its share of the whole graph.

    The p-value is the hypergeometric tail on the side of chance on which the share lies.
    """
    shares, census = (table[table["end"] == end] for table in (tables["edge_shares"], tables["edge_census"]))
    shares = shares[shares["scope"] == scope]
    n_graph, of_graph = int(census["edges"].sum()), _count(census, kinds)
    parts = []
    for method, rows in shares.groupby("method", sort=False):
        n, found = int(rows["edges"].sum()), _count(rows, kinds)
        is_above = found * n_graph > of_graph * n
        tail = (found, of_graph) if is_above else (n - found, n_graph - of_graph)
        parts.append(
            Part(
                str(method),
                100 * found / n,
                n=n,
                chance=100 * of_graph / n_graph,
                p_value=overlap_p_value(tail[0], n, tail[1], n_graph),
            )
        )
    return parts


def _count(table: pd.DataFrame, kinds: Sequence[str]) -> int:
    return int(table.loc[table["node_kind"].isin(kinds), "edges"].sum())


def changed_positions(tables: Tables, setting: Setting) -> list[Part]:
    """Share in percent of response positions at which steering changes the greedy prediction; a count of all of them."""
    table = tables["completeness"]
    table = table[table["metric"] == "logit_difference"]
    counts = table.groupby("method", sort=False)[["n_positions", "n_tokens"]].sum()
    return [
        Part(str(method), 100 * positions / tokens, n=int(tokens))
        for method, positions, tokens in counts.itertuples(name=None)
    ]


def ablation_changes(tables: Tables, setting: Setting, *, ablation: str) -> list[Part]:
    """Percentage points that an ablation takes from DIM, mean over the main test sets."""
    rows = _ablated(tables, setting, ablation)
    if rows.empty:
        return []
    return [_mean_part("dim", rows, CHANGE)]


def clearing_of_freezing(tables: Tables, setting: Setting) -> list[Part]:
    """What clearing values of the vector takes, in percent of what freezing them takes; nothing where that may be 0."""
    cleared, frozen = (ablation_changes(tables, setting, ablation=name) for name in ("svv", "ov"))
    if not cleared or not frozen:
        return []
    ratio = ratio_of_estimates(_estimate(cleared[0]), _estimate(frozen[0]))
    return [Part("dim", *(100 * each for each in ratio), n=cleared[0].n)] if ratio else []


def concept_scores(tables: Tables, setting: Setting) -> list[Part]:
    """Share in percent of concept words among the top tokens of the strongest heads' value vectors, by the sign of their effects.

    Heads are those whose tokens are listed; bootstrap over heads.
    """
    concepts, listed = tables["svv_concepts"], tables["svv_tokens"]
    heads = listed.loc[
        listed["source"].str.contains(".", regex=False), ["method", "source"]
    ].drop_duplicates()
    rows = concepts.merge(heads, on=["method", "source"])
    rows = rows[(rows["sign"] == 1) == (rows["ie"] >= 0)]
    parts = []
    for method, own in rows.groupby("method", sort=False):
        scores = list(100 * own["concept_score"])
        low, high = bootstrap_mean(
            scores, confidence=setting.confidence, n_resamples=N_RESAMPLES, seed=setting.seed
        )
        mean, chance = 100 * float(own["concept_score"].mean()), 100 * float(own["chance"].mean())
        parts.append(Part(str(method), mean, low, high, n=len(own), chance=chance))
    return parts


def sparse_effects(tables: Tables, setting: Setting, *, criterion: str, column: str) -> list[Part]:
    """How long a criterion keeps the dense effect on the main test sets: `area` or `largest` of the `retention` table."""
    table = tables["retention"]
    rows = table[
        (table["dataset"] == POOLED) & (table["criterion"] == criterion) & (table["retained"] == RETAINED)
    ]
    value = "largest_percent" if column == "largest" else column
    return [
        Part(str(row["method"]), row[value], row[f"{column}_low"], row[f"{column}_high"], n=row["n"])
        for row in rows.to_dict("records")
    ]


def shared_dimensions(tables: Tables, setting: Setting) -> list[Part]:
    """IoU of the dimensions that pairs of methods keep by the gradient near 90 %, with Holm's p-value; a count."""
    own = tables["iou"]
    near = overlaps_near(own[own["criterion"] == MAIN_CRITERION], READ_NEAR)
    return [
        Part(
            _pair(row["method_a"], row["method_b"]),
            row["iou"],
            n=min(row["n_a"], row["n_b"]),
            chance=row["chance"],
            p_value=row["p_adjusted"],
        )
        for row in near.drop_duplicates(["method_a", "method_b"]).to_dict("records")
    ]


def averaged_ablations(means: pd.DataFrame) -> dict[str, Part]:
    """Means over models of what ablations take from DIM, by measurement, from the `ablation_means` table."""
    rows = means[(means["method"] == "dim") & (means["scope"] == "all")].set_index("ablation")
    return {
        name: Part("dim", *(float(rows.loc[name, column]) for column in CHANGE), n=int(rows.loc[name, "n"]))
        for name in ("qk", "ov", "svv", "mlp")
        if name in rows.index
    }


def _ablated(tables: Tables, setting: Setting, ablation: str) -> pd.DataFrame:
    table = tables["ablations"]
    return table[
        (table["method"] == "dim")
        & (table["scope"] == "all")
        & (table["ablation"] == ablation)
        & table["dataset"].isin(list(setting.main_sets.values()))
    ]


def _faithfulness(rows: pd.DataFrame) -> Estimate:
    return mean_of_estimates(list(rows[["faithfulness", "low", "high"]].itertuples(index=False, name=None)))


def _mean_part(name: str, rows: pd.DataFrame, columns: Sequence[str], *, scale: float = 1.0) -> Part:
    mean = mean_of_estimates(list(rows[list(columns)].itertuples(index=False, name=None)))
    return Part(name, *(scale * each for each in mean), n=int(rows["n"].sum()))


def _estimate(part: Part) -> Estimate:
    return part.value, part.low, part.high


def _pair(a: str, b: str) -> str:
    return " & ".join(sorted((a, b)))
