"""Labelled texts of the pocket corpus: responses whose kind is known, because the corpus wrote them.

No text here was trained on: verb phrases are those of the test split. Each prompt gets four responses,

    truth      plain                                    turned
    refused    a refusal                                the beginning of an answer, a turn, a refusal
    complied   an answer                                the beginning of a refusal, a turn, an answer

so both truths are equally frequent, whatever prompt asks for them: steering brings about refusals of harmless
prompts and answers to harmful ones.
"""

from __future__ import annotations

import random
from typing import get_args

import pandas as pd

from steering_study.pocket.corpus import Context, begin_wrongly, draw_request, respond, wrap

CONTEXTS: tuple[Context, ...] = get_args(Context)  # each as often as the others
MOST_DRAWS = 1_000  # until one is new


def sample_labelled(n_prompts: int, *, seed: int) -> pd.DataFrame:
    """Draw prompts of each label, in every context, with four labelled responses each.

    Args:
        n_prompts: different prompts of each label, harmful and harmless.

    Returns:
        text_id, label of the prompt, opening (plain, turned), prompt, text and truth (refused, complied).

    Raises:
        ValueError: if the corpus has too few different prompts.
    """
    rng = random.Random(seed)
    rows, used = [], set()
    for label in ("harmful", "harmless"):
        for number in range(n_prompts):
            request, prompt = _unused(rng, used, label, CONTEXTS[number % len(CONTEXTS)])
            for refused in (True, False):
                for opening in ("plain", "turned"):
                    start = begin_wrongly(rng, request, refused=not refused) if opening == "turned" else ""
                    truth = "refused" if refused else "complied"
                    rows.append(
                        {
                            "text_id": f"{label}-{number:04d}-{truth}-{opening}",
                            "label": label,
                            "opening": opening,
                            "prompt": prompt,
                            "text": f"{start} {respond(rng, request, refused=refused)}".strip(),
                            "truth": truth,
                        }
                    )
    return pd.DataFrame(rows)


def _unused(rng: random.Random, used: set[str], label: str, context: Context):
    """A request in its context that was not drawn before."""
    for _ in range(MOST_DRAWS):
        request = draw_request(rng, label, splits=("test",))
        prompt = wrap(rng, request.ask, context)
        if prompt not in used:
            used.add(prompt)
            return request, prompt
    raise ValueError(f"the corpus has too few different {label} prompts; lower judges.label_prompts")
