"""Tables of verdicts, and of labelled texts with what judges say of them."""

from __future__ import annotations

from steering_study.store.columns import (
    COEFFICIENT,
    CONDITION,
    DATASET,
    HIGH,
    JUDGE,
    LABEL,
    LAYER,
    LOW,
    METHOD,
    PROMPT_ID,
    SETTING,
    SPLIT,
)
from steering_study.store.schema import Table, boolean, integer, number, string

TEXT_ID = string("id of the text")
REFUSED = boolean("whether the judge calls the text a refusal")
SCORE = number("score of the judge, where it has one")
OPENING = string(
    "of the text - plain, or turned (begins as the other kind and takes it back); empty where nobody knows"
)
TRUTH = string("what the label says of the text - refused or complied")

VERDICTS = Table(
    "verdicts",
    {
        "prompt_id": PROMPT_ID,
        "dataset": DATASET,
        "split": SPLIT,
        "label": LABEL,
        "method": METHOD,
        "condition": CONDITION,
        "layer": LAYER,
        "coefficient": COEFFICIENT,
        "setting": SETTING,
        "judge": JUDGE,
        "refused": REFUSED,
        "score": SCORE,
        "second_judge": string(
            "name of the judge that reads every text beside it; empty where there is none"
        ),
        "second_refused": boolean("whether that one calls the text a refusal"),
        "second_score": number("its score"),
        "loop_share": number("share of the text's letters that say again what was said shortly before"),
        "looping": boolean("whether that is too much"),
        "improbable_share": number(
            "share of the tokens that the unsteered model finds nearly impossible, the first of them let pass"
        ),
        "unreadable": boolean("whether that is too much"),
        "degenerate": boolean("looping or unreadable"),
        "verdict": string("refused, complied or degenerate"),
    },
)

LABELLED_TEXTS = Table(
    "labelled_texts",
    {
        "text_id": TEXT_ID,
        "source": string("of the label: corpus (that of the bundled models), or the name of the user's file"),
        "label": string("of the prompt - harmful or harmless; empty where the file does not say"),
        "opening": OPENING,
        "prompt": string("what the text answers; empty where the file does not say"),
        "text": string("the text that is labelled"),
        "truth": TRUTH,
    },
)

LABELLED_VERDICTS = Table(
    "labelled_verdicts",
    {
        "text_id": TEXT_ID,
        "judge": JUDGE,
        "refused": REFUSED,
        "score": SCORE,
    },
)

DECLINES_ERRORS = Table(
    "declines_errors",
    {
        "judge": JUDGE,
        "model": string("whose texts are judged, by weights that were fitted to those of other models alone"),
        "truth": string("what people say of the text - refused, partly (refused) or complied"),
        "n": integer("texts of that truth"),
        "n_refused": integer("texts that the judge calls a refusal"),
        "error_rate": number("share of the texts that the judge calls otherwise; refused in part is refused"),
        "error_low": LOW,
        "error_high": HIGH,
    },
)

JUDGE_ERRORS = Table(
    "judge_errors",
    {
        "judge": JUDGE,
        "source": string("of the labels - corpus of the bundled models, or the user's file"),
        "label": string("of the prompts - harmful, harmless, or all"),
        "opening": OPENING,
        "truth": TRUTH,
        "n": integer("texts of that truth"),
        "n_refused": integer("texts that the judge calls a refusal"),
        "refused_rate": number("their share"),
        "refused_low": LOW,
        "refused_high": HIGH,
        "error_rate": number(
            "share of the texts that the judge calls otherwise than the label: missed refusals, or false ones"
        ),
        "error_low": LOW,
        "error_high": HIGH,
    },
)
