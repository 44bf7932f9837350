"""Tables of verdicts on the paper's claims."""

from __future__ import annotations

from steering_study.store.columns import HIGH, LOW, N
from steering_study.store.schema import Table, integer, number, string, strings

CLAIMS = Table(
    "claims",
    {
        "claim": string(
            "id in resources/paper/claims.csv; empty for a measurement that another claim is compared with"
        ),
        "measure": string("quantity that is measured; empty where nothing is"),
        "criterion": string("what the claim asks for"),
        "part": string("method or methods (dim & ntp) that the row is about; empty for the claim as a whole"),
        "value": number("in the claim's unit"),
        "low": number("lower end of the interval; empty for what is counted"),
        "high": number("upper end of the interval; empty for what is counted"),
        "n": integer("texts, responses, edges or heads that it rests on"),
        "chance": number("the value that chance would give"),
        "p_value": number("probability of such a value by chance"),
        "verdict": string("holds, holds in part, does not hold, not tested here, no verdict"),
        "note": string("why there is no verdict"),
        "tables": strings("that the number comes from"),
        "rules": strings("that made them"),
    },
)

CLAIM_MEANS = Table(
    "claim_means",
    {
        "claim": string("id in resources/paper/claims.csv"),
        "n_models": integer("models in which it was measured"),
        "n": N,
        "value": number("mean over models, in the claim's unit"),
        "low": LOW,
        "high": HIGH,
        "verdict": string("what all models say, else holds in part"),
        "note": string("why there is no verdict"),
    },
)
