"""Every table of the study by its name: for pages and exports, which read whichever tables there are."""

from __future__ import annotations

from steering_study.attention.schemas import (
    ABLATION_MEANS,
    ABLATIONS,
    ATTENTION_MAPS,
    FROZEN_SETTINGS,
    NEURONS,
    NODES,
    SVV_CONCEPTS,
    SVV_TOKENS,
)
from steering_study.circuits.schemas import (
    ATTRIBUTION,
    CIRCUIT_ASR,
    CIRCUIT_RUNS,
    COMPLETENESS,
    EDGE_CENSUS,
    EDGE_SHARES,
    FAITHFULNESS,
    INTERCHANGE,
    INTERCHANGE_FIT,
    OVERLAP,
    RANKINGS,
    TOP_EDGES,
)
from steering_study.claims.schemas import CLAIM_MEANS, CLAIMS
from steering_study.judges.schemas import JUDGE_ERRORS, LABELLED_TEXTS, LABELLED_VERDICTS, VERDICTS
from steering_study.prompts.schemas import PROMPTS
from steering_study.sparsity.schemas import (
    IOU,
    RETENTION,
    SHARED_DIMENSIONS,
    SHARED_TOKENS,
    SPARSE_FAITHFULNESS,
    SPARSE_KL,
    SPARSE_RUNS,
    SPARSE_SETTINGS,
    SPARSITY,
    SPARSITY_KL,
)
from steering_study.steering.schemas import (
    ASR,
    BYSTANDERS,
    DOSE_RESPONSE,
    FLIPS,
    JUDGE_AGREEMENT,
    LAYERS,
    SIDE_EFFECTS,
)
from steering_study.store.schema import by_name
from steering_study.texts.schemas import RESPONSES
from steering_study.vectors.schemas import CANDIDATE_FLIPS, CANDIDATES, COSINE, PAIRS, TRAINING, TRIALS

TABLES = by_name(
    PROMPTS,
    RESPONSES,
    VERDICTS,
    LABELLED_TEXTS,
    LABELLED_VERDICTS,
    JUDGE_ERRORS,
    CANDIDATES,
    CANDIDATE_FLIPS,
    PAIRS,
    TRIALS,
    TRAINING,
    COSINE,
    ASR,
    JUDGE_AGREEMENT,
    BYSTANDERS,
    FLIPS,
    DOSE_RESPONSE,
    SIDE_EFFECTS,
    LAYERS,
    ATTRIBUTION,
    RANKINGS,
    CIRCUIT_RUNS,
    FAITHFULNESS,
    COMPLETENESS,
    EDGE_CENSUS,
    EDGE_SHARES,
    OVERLAP,
    TOP_EDGES,
    INTERCHANGE,
    INTERCHANGE_FIT,
    CIRCUIT_ASR,
    FROZEN_SETTINGS,
    ABLATIONS,
    ABLATION_MEANS,
    NODES,
    SVV_TOKENS,
    SVV_CONCEPTS,
    NEURONS,
    ATTENTION_MAPS,
    SPARSE_SETTINGS,
    SPARSE_KL,
    SPARSE_RUNS,
    SHARED_TOKENS,
    SPARSITY,
    RETENTION,
    SPARSITY_KL,
    SPARSE_FAITHFULNESS,
    IOU,
    SHARED_DIMENSIONS,
    CLAIMS,
    CLAIM_MEANS,
)
