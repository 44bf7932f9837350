"""The corpus as the bundled models saw it: the training stream, a stretch of it in detail, and the bundled prompt sets."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from steering_study.pocket.corpus import Example, Mixture
from steering_study.pocket.grammar import Request

# In a process of its own: checked types make these draws a hundred times slower
DRAW = """
import itertools, json, pickle, sys
from steering_study.pocket import corpus, prompts

def kept(module):
    draw = module.draw_request
    requests = []
    beside = []  # not empty while a request is drawn that the prompt only mentions
    def draw_and_keep(*args, splits, **choice):
        request = draw(*args, splits=splits, **choice)
        if not beside:
            requests.append((splits, request))
        return request
    module.draw_request = draw_and_keep
    if mention := getattr(module, "_mention", None):
        def mention_unkept(*args):
            beside.append(True)
            text = mention(*args)
            beside.pop()
            return text
        module._mention = mention_unkept
    return requests

pocket = json.load(sys.stdin)
seed = pocket["plan"]["seed"]
trained, bundled = kept(corpus), kept(prompts)
stream = corpus.iterate_examples(seed + 1, corpus.Mixture(**{**pocket["mixture"], **pocket["mixtures"].get("pocket-llama", {})}))
examples = list(itertools.islice(stream, 20_000))
pickle.dump(
    {
        "stream": [(request, example) for (_, request), example in zip(trained, examples, strict=True)],
        "sets": prompts.build_prompt_sets(pocket["prompts"], seed=seed),
        "asked": bundled,
    },
    sys.stdout.buffer,
)
"""

DRAW_ALL = """
import itertools, json, pickle, sys
from steering_study.pocket import corpus

draw, acts = corpus.draw_request, set()
def draw_and_keep(*args, **choice):
    request = draw(*args, **choice)
    acts.add(request.act)
    return request
corpus.draw_request = draw_and_keep

pocket = json.load(sys.stdin)
streams = set()  # models that are trained alike read one stream
for name in pocket["shapes"]:
    plan = {**pocket["plan"], **pocket["plans"].get(name, {})}
    mixture = corpus.Mixture(**{**pocket["mixture"], **pocket["mixtures"].get(name, {})})
    streams.add((plan["seed"] + 1, mixture, plan["steps"] * plan["batch_size"]))
prompts = {
    example.prompt
    for seed, mixture, n in streams
    for example in itertools.islice(corpus.iterate_examples(seed, mixture), n)
}
pickle.dump({"acts": acts, "prompts": prompts}, sys.stdout.buffer)
"""


@dataclass(frozen=True)
class Trained:
    """All that a bundled model was trained on."""

    acts: set[str]  # verb phrases of the requests, of those that a prompt only mentions as well
    prompts: set[str]


@dataclass(frozen=True)
class Corpus:
    """What the config's seed makes."""

    stream: list[tuple[Request, Example]]  # the first 20,000 training examples, with their requests
    sets: dict[str, pd.DataFrame]  # the bundled prompt sets
    asked: list[tuple[tuple[str, ...], Request]]  # of every bundled prompt, and the splits it may be of


@pytest.fixture(scope="session")
def settings() -> dict[str, Any]:
    """Section `pocket` of the study's config."""
    path = Path(__file__).parents[2] / "config/study.yaml"
    return yaml.safe_load(path.read_text("utf-8"))["pocket"]


@pytest.fixture(scope="session")
def mixture(settings: dict[str, Any]) -> Mixture:
    return Mixture(**{**settings["mixture"], **settings["mixtures"].get("pocket-llama", {})})


@pytest.fixture(scope="session")
def corpus(settings: dict[str, Any]) -> Corpus:
    return Corpus(**run_code(DRAW, settings))


@pytest.fixture(scope="session")
def trained(settings: dict[str, Any]) -> Trained:
    return Trained(**run_code(DRAW_ALL, settings))


def run_code(code: str, settings: dict[str, Any]) -> dict[str, Any]:
    """What code that reads settings makes, in a process of its own."""
    asked = json.dumps(settings).encode()
    done = subprocess.run([sys.executable, "-c", code], input=asked, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return pickle.loads(done.stdout)


@pytest.fixture(scope="session")
def stream(corpus: Corpus) -> list[tuple[Request, Example]]:
    return corpus.stream
