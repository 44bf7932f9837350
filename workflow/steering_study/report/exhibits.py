"""Which function makes what the report shows: a section's frames, sentences and facts, its figures and its tables.

The names are those of `workflow/report/sections/`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pandas as pd
from markupsafe import Markup
from matplotlib.figure import Figure

from steering_study.attention.figures.ablations import (
    plot_ablations,
    plot_scopes,
    table_ablation_means,
    table_ablations,
    table_frozen_examples,
)
from steering_study.attention.figures.value_vectors import (
    plot_attention_maps,
    plot_concepts,
    plot_explained,
    table_concepts,
    table_mlps,
    table_neurons,
    table_tokens,
)
from steering_study.attention.section import attention_facts, attention_frames, attention_leads
from steering_study.circuits.figures.drawing import plot_circuits
from steering_study.circuits.figures.exact import plot_circuit_text, plot_interchange
from steering_study.circuits.figures.faithfulness import (
    plot_beside,
    plot_faithfulness,
    plot_patching_sets,
    plot_rankings,
)
from steering_study.circuits.figures.overlap import plot_exchange, plot_overlap
from steering_study.circuits.figures.tables import (
    table_fit,
    table_groups,
    table_metrics,
    table_minimum,
    table_sets,
    table_shares,
)
from steering_study.circuits.section import circuits_facts, circuits_frames, circuits_leads
from steering_study.claims.figures.table import table_claims
from steering_study.claims.section import claims_facts, claims_frames, claims_leads
from steering_study.judges.figures.table import table_judges
from steering_study.sparsity.figures.plots import (
    plot_iou,
    plot_sparse_circuits,
    plot_sparse_kl,
    plot_sparsity,
    plot_variants,
)
from steering_study.sparsity.figures.tables import (
    table_published_sparsity,
    table_retention,
    table_shared,
    table_shared_tokens,
    table_sparsity,
)
from steering_study.sparsity.section import sparsity_facts, sparsity_frames, sparsity_leads
from steering_study.steering.figures.attack_success import plot_asr
from steering_study.steering.figures.depth import plot_depth
from steering_study.steering.figures.dose_response import plot_dose_response
from steering_study.steering.figures.side_effects import plot_side_effects
from steering_study.steering.figures.tables import (
    table_agreement,
    table_asr,
    table_bystanders,
    table_disagreements,
    table_endings,
    table_examples,
    table_flips,
    table_side_effects,
)
from steering_study.steering.section import steering_facts, steering_frames, steering_leads
from steering_study.vectors.figures.candidates import plot_candidates
from steering_study.vectors.figures.cosine import plot_cosine
from steering_study.vectors.figures.tables import table_grid, table_pairs, table_trials
from steering_study.vectors.figures.training import plot_training
from steering_study.vectors.section import vectors_facts, vectors_frames, vectors_leads

# The tidy frames of a section from its tables
MAKERS: dict[str, Callable[..., dict[str, pd.DataFrame]]] = {
    "claims": claims_frames,
    "steering": steering_frames,
    "vectors": vectors_frames,
    "circuits": circuits_frames,
    "attention": attention_frames,
    "sparsity": sparsity_frames,
}

# A figure from its frames
FIGURES: dict[str, Callable[..., Figure]] = {
    "candidates": plot_candidates,
    "dose_response": plot_dose_response,
    "asr": plot_asr,
    "depth": plot_depth,
    "cosine": plot_cosine,
    "training": plot_training,
    "side_effects": plot_side_effects,
    "faithfulness": plot_faithfulness,
    "rankings": plot_rankings,
    "patching_sets": plot_patching_sets,
    "exchange": plot_exchange,
    "beside": plot_beside,
    "circuit_text": plot_circuit_text,
    "overlap": plot_overlap,
    "drawings": plot_circuits,
    "exact": plot_interchange,
    "ablations": plot_ablations,
    "scopes": plot_scopes,
    "explained": plot_explained,
    "concepts": plot_concepts,
    "attention_maps": plot_attention_maps,
    "sparsity": plot_sparsity,
    "variants": plot_variants,
    "sparse_kl": plot_sparse_kl,
    "sparse_circuits": plot_sparse_circuits,
    "iou": plot_iou,
}

# The sentences that a section opens with
LEADS: dict[str, Callable[[Mapping[str, pd.DataFrame]], list[str]]] = {
    "claims": claims_leads,
    "steering": steering_leads,
    "vectors": vectors_leads,
    "circuits": circuits_leads,
    "attention": attention_leads,
    "sparsity": sparsity_leads,
}

# What captions name in braces
FACTS: dict[str, Callable[[Mapping[str, pd.DataFrame]], dict[str, str]]] = {
    "claims": claims_facts,
    "steering": steering_facts,
    "vectors": vectors_facts,
    "circuits": circuits_facts,
    "attention": attention_facts,
    "sparsity": sparsity_facts,
}

# A table from its frames
TABLES: dict[str, Callable[..., Markup]] = {
    "claims": table_claims,
    "table2": table_asr,
    "judges": table_judges,
    "agreement": table_agreement,
    "disagreements": table_disagreements,
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
