"""The study's config: YAML, checked against the schema, as one frozen `Study` that the rules read.

`config/study.yaml` holds every value; other files overlay it. Each stage types its own section (`<stage>/options.py`). An unknown
key, a wrong type or a value out of range is a `ValueError` of one line that names the key, what was expected and what was found.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from steering_study.attention import options as attention_options
from steering_study.attention.options import Attention
from steering_study.circuits import options as circuits_options
from steering_study.circuits.options import Circuits
from steering_study.export.options import Export
from steering_study.judges import options as judges_options
from steering_study.judges.options import Judges
from steering_study.models.options import ModelOptions, model_options
from steering_study.pocket import options as pocket_options
from steering_study.pocket.options import BUNDLED
from steering_study.prompts import options as prompts_options
from steering_study.prompts.options import Prompts
from steering_study.sparsity import options as sparsity_options
from steering_study.sparsity.options import Sparsity
from steering_study.store.names import nearest
from steering_study.texts.options import Decoding
from steering_study.vectors.options import Dim, Search, check_methods

SCHEMA = Path(__file__).parents[2] / "schemas" / "config.schema.yaml"
FOLDERS = ("export", "judges", "pocket", "prompts", "summary")  # under results/, no model's


@dataclass(frozen=True)
class Study:
    """Everything that the rules take from the config."""

    seed: int
    threads: int  # of a job that runs a model
    models: Mapping[str, ModelOptions]
    prompts: Prompts
    generation: Decoding
    methods: Sequence[str]
    layers: Sequence[float] | Literal["all"]  # of the sweep over depth
    dim: Dim
    search: Search
    circuits: Circuits
    attention: Attention
    sparsity: Sparsity
    judges: Judges
    confidence: float
    export: Export
    pocket: Mapping[str, Any]

    @property
    def bundled_models(self) -> list[str]:
        """Models of the study that come with it."""
        bundled = {BUNDLED / name for name in self.pocket["shapes"]}
        return [model.name for model in self.models.values() if Path(model.source) in bundled]

    @property
    def vector_models(self) -> list[str]:
        """Models whose vectors may leave this machine: the bundled ones, or all of them where the config says so."""
        return list(self.models) if self.export.vectors == "all" else self.bundled_models


def load_study(config: Mapping[str, Any]) -> Study:
    """Check a merged config and give it types.

    Raises:
        ValueError: one line about the first thing that is wrong.
    """
    check_config(config)
    models = [model_options(name, config["model_options"]) for name in config["models"]]
    check_names([model.name for model in models])
    vectors = config["vectors"]
    check_methods(vectors)
    return Study(
        seed=config["seed"],
        threads=config["threads"],
        models={model.name: model for model in models},
        prompts=prompts_options.read_options(config["prompts"]),
        generation=Decoding(**config["generation"]),
        methods=vectors["methods"],
        layers=vectors["layers"],
        dim=Dim(**vectors["dim"]),
        search=Search(**vectors["search"], learned=vectors["learned"]),
        circuits=circuits_options.read_options(config),
        attention=attention_options.read_options(config),
        sparsity=sparsity_options.read_options(config),
        judges=judges_options.read_options(config["judges"]),
        confidence=config["statistics"]["confidence"],
        export=Export(**config["export"]),
        pocket=pocket_options.read_options(config["pocket"]),
    )


def check_config(config: Mapping[str, Any]) -> None:
    """Check a merged config against the schema.

    Raises:
        ValueError: one line about the first thing that is wrong.
    """
    validator = Draft202012Validator(yaml.safe_load(SCHEMA.read_text("utf-8")))
    errors = sorted(
        validator.iter_errors(config), key=lambda error: (len(error.absolute_path), error.message)
    )
    if errors:
        raise ValueError(f"config: {_explain(errors[0])}; config/README.md explains each key")


def check_names(names: Sequence[str]) -> None:
    """Refuse a model whose results would lie in a folder that is another's, or outside of results/."""
    for name in names:
        if not re.match(r"[a-z0-9]", name) or name in FOLDERS:
            raise ValueError(
                f"models: one would write to results/{name}, expected a name that begins with a letter or digit and is "
                f"none of {', '.join(FOLDERS)}; give it an entry of another name in model_options, with its source"
            )
        if names.count(name) > 1:
            raise ValueError(
                f"models: two of them would write to results/{name}; give one an entry of another name in "
                "model_options, with its source"
            )


def config_digest(config: Mapping[str, Any]) -> str:
    """Short digest of a merged config, to tell runs apart."""
    text = json.dumps(config, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _explain(error: ValidationError) -> str:
    """One line: the key, what was expected, what was found."""
    key = ".".join(str(part) for part in error.absolute_path) or "top level"
    wanted: Any = error.validator_value
    if error.validator == "additionalProperties":
        assert isinstance(error.schema, Mapping)
        known = list(error.schema.get("properties", {}))
        patterns = error.schema.get("patternProperties", {})
        unknown = next(
            k
            for k in cast(Mapping[str, Any], error.instance)
            if k not in known and not any(re.search(p, k) for p in patterns)
        )
        path = f"{key}.{unknown}" if error.absolute_path else unknown
        return f"unknown key {path!r}{nearest(str(unknown), known)}"
    if error.validator == "required":
        return f"{key}: {error.message}"
    if error.validator == "enum":
        return f"{key} is {error.instance!r}, expected one of {', '.join(map(str, wanted))}{nearest(str(error.instance), wanted)}"
    return f"{key} is {error.instance!r}: {error.message}"
