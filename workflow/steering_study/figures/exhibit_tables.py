"""The function that sets each table of the report, by its name in `workflow/report/sections.yaml`."""

from __future__ import annotations

from collections.abc import Callable

from markupsafe import Markup

from steering_study.figures.ablations import table_ablation_means, table_ablations, table_frozen_examples
from steering_study.figures.circuit_tables import (
    table_fit,
    table_groups,
    table_metrics,
    table_minimum,
    table_sets,
    table_shares,
)
from steering_study.figures.claims import table_claims
from steering_study.figures.judge_tables import table_judges
from steering_study.figures.sparsity_tables import (
    table_published_sparsity,
    table_retention,
    table_shared,
    table_shared_tokens,
    table_sparsity,
)
from steering_study.figures.tables import (
    table_asr,
    table_bystanders,
    table_endings,
    table_examples,
    table_flips,
    table_grid,
    table_pairs,
    table_side_effects,
    table_trials,
)
from steering_study.figures.value_vectors import table_concepts, table_mlps, table_neurons, table_tokens

TABLES: dict[str, Callable[..., Markup]] = {
    "claims": table_claims,
    "table2": table_asr,
    "judges": table_judges,
    "flips": table_flips,
    "examples": table_examples,
    "endings": table_endings,
    "pairs": table_pairs,
    "grid": table_grid,
    "trials": table_trials,
    "costs": table_side_effects,
    "bystanders": table_bystanders,
    "minimum": table_minimum,
    "shares": table_shares,
    "fit": table_fit,
    "groups": table_groups,
    "sets": table_sets,
    "metrics": table_metrics,
    "table1": table_ablations,
    "ablation_means": table_ablation_means,
    "frozen_examples": table_frozen_examples,
    "svv_tokens": table_tokens,
    "svv_concepts": table_concepts,
    "mlps": table_mlps,
    "neurons": table_neurons,
    "retention": table_retention,
    "table10_11": table_sparsity,
    "published_table10_11": table_published_sparsity,
    "shared": table_shared,
    "shared_tokens": table_shared_tokens,
}
