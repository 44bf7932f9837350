"""The study's config: YAML, checked against the schema, as one frozen `Study` that the rules read.

`config/study.yaml` holds every value; other files overlay it. An unknown key, a wrong type or a value out of
range is a `ValueError` of one line that names the key, what was expected and what was found.
"""

from __future__ import annotations

import difflib
import hashlib
import itertools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from steering_study.ablations import parse_ablation
from steering_study.judges.registry import check_judge, own_judges

SCHEMA = Path(__file__).parents[1] / "schemas" / "config.schema.yaml"
VECTORS = Path(__file__).parent / "vectors"
BUNDLED = Path("resources/models")
FOLDERS = ("export", "judges", "pocket", "prompts", "summary")  # under results/, no model's
CONTROLS = ("random", "shuffled")  # vectors of DIM's norm that should do nothing


@dataclass(frozen=True)
class Direction:
    """A published choice of layer, position and coefficients."""

    layer: int
    position: int
    induce: float
    bypass: float


@dataclass(frozen=True)
class ModelOptions:
    """What the study knows of a model before it is resolved.

    `contexts` give, for each behaviour, a prompt in which it is normal; without them a text is judged in
    the prompt that it answers.
    """

    name: str
    source: str
    revision: str | None
    dtype: str
    contexts: Mapping[str, str]
    refusal_tokens: Sequence[str] | None
    direction: Direction | None
    max_depth: float | None  # share of the blocks that DIM candidates come from; None: that of the study
    circuit_step: int | None  # edges between two circuit sizes; None: shares of all edges
    top_edges: int


@dataclass(frozen=True)
class Prompts:
    """Where prompts come from and how many are taken."""

    source: Literal["bundled", "public", "files"]
    concept: str
    template: Mapping[str, Any]  # what chat templates are given beside the message
    mirror: str | None
    files: Sequence[Mapping[str, Any]]
    sizes: Mapping[str, int]
    test_sizes: Mapping[str, int | None]
    main_sets: Mapping[str, str]  # the test set of each label that experiments take
    behaviour_sets: Sequence[str]  # those that are answered under ablations and by sparse vectors

    @property
    def unseen_sets(self) -> list[str]:
        """Behaviour sets beside the main ones: of a kind that no prompt behind the vectors is of."""
        return [name for name in self.behaviour_sets if name not in self.main_sets.values()]


@dataclass(frozen=True)
class Generation:
    """Greedy decoding."""

    max_new_tokens: int
    batch_size: int | None  # None: as many as memory holds
    scored_batch_size: int | None


@dataclass(frozen=True)
class Dim:
    """Selection of the DIM candidate and of its coefficients."""

    selection: Literal["paper", "arditi"]
    min_induce: float
    max_kl: float
    max_depth: float
    refusal_coverage: float
    coefficients: Mapping[str, Sequence[float]]
    max_degenerate: float
    matched_flip_rate: float


@dataclass(frozen=True)
class Search:
    """Search of the learned vectors; `learned` holds what is a method's own."""

    max_tokens: int
    epochs: int
    batch_sizes: Sequence[int]
    learning_rates: Sequence[float]
    seeds: Sequence[int]
    max_gradient_norm: float | None
    trials_per_job: int
    learned: Mapping[str, Mapping[str, Any]]

    def trials(self, method: str) -> list[dict[str, Any]]:
        """Every point of a method's search, numbered; neighbours share a batch size."""
        own = self.learned[method]
        rates = own.get("learning_rates") or self.learning_rates
        grid = itertools.product(self.batch_sizes, rates, own.get("phi", [None]), self.seeds)
        return [
            {
                "trial": number,
                "learning_rate": learning_rate,
                "batch_size": batch_size,
                "epochs": self.epochs,
                "seed": seed,
                "max_gradient_norm": self.max_gradient_norm,
                "factors": tuple(own["factors"]),
                "phi": phi,
                "length": own.get("length"),
            }
            for number, (batch_size, learning_rate, phi, seed) in enumerate(grid)
        ]

    def shards(self, method: str) -> list[list[dict[str, Any]]]:
        """The trials as jobs, each of one batch size and at most `trials_per_job` trials."""
        jobs = []
        for _, same_size in itertools.groupby(self.trials(method), key=lambda trial: trial["batch_size"]):
            trials = list(same_size)
            jobs += [trials[i : i + self.trials_per_job] for i in range(0, len(trials), self.trials_per_job)]
        return jobs


@dataclass(frozen=True)
class Circuits:
    """Attribution of edges and evaluation of circuits."""

    methods: Sequence[str]
    responses: int | None
    metrics: Sequence[str]
    quadrature: Literal["midpoint", "gauss"]
    steps: int
    sizes_percent: Sequence[float]
    faithful: float
    random_draws: int
    prompts: int | None
    interchange: Mapping[str, int]
    drawn_edges: int
    tokens_per_pass: int
    max_values: int


@dataclass(frozen=True)
class Attention:
    """Frozen generation, and what the OV circuit and the MLPs write."""

    methods: Sequence[str]
    prompts: int | None
    ablations: Mapping[str, Sequence[str]]  # by scope
    top_heads: int
    top_tokens: int
    neurons: Mapping[str, int]
    maps: Mapping[str, int]


@dataclass(frozen=True)
class Sparsity:
    """Sparse vectors: how many dimensions go, which variants are tried, and what they are tested on."""

    methods: Sequence[str]
    prompts: int | None
    max_new_tokens: int
    percents: Sequence[float]
    thresholds: Sequence[float]
    dropout: Mapping[str, int]
    variants: Mapping[str, Any]
    shared_percents: Sequence[float]
    circuits: Mapping[str, Any]
    kl_prompts: int
    top_tokens: int
    retained: float


@dataclass(frozen=True)
class Judges:
    """Who says whether a response refuses, and when a text is degenerate."""

    harmless: str
    harmful: str
    classifiers: Mapping[str, Mapping[str, Any]]
    labels: str | None  # file of labelled texts; None: those of the bundled models' corpus
    label_prompts: int
    max_repetition: float
    fluency_quantile: float

    @property
    def tested(self) -> list[str]:
        """Judges whose error is measured: the phrases, those in use, classifiers with an entry, and the user's own."""
        return sorted({"phrases", self.harmless, self.harmful, *self.classifiers, *own_judges()})


@dataclass(frozen=True)
class Export:
    """What is written for others."""

    vectors: Literal["bundled", "all"]


@dataclass(frozen=True)
class Study:
    """Everything that the rules take from the config."""

    seed: int
    models: Mapping[str, ModelOptions]
    prompts: Prompts
    generation: Generation
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
    options = config["model_options"]
    models = [model_options(name, options) for name in config["models"]]
    check_names([model.name for model in models])
    check_methods(config["vectors"])
    prompts, vectors = config["prompts"], config["vectors"]
    return Study(
        seed=config["seed"],
        models={model.name: model for model in models},
        prompts=Prompts(
            **{
                "mirror": None,
                "files": [],
                **prompts,
                "test_sizes": _of_source(prompts, "test_sizes", "its test sets"),
                "main_sets": _main_sets(prompts),
                "behaviour_sets": _behaviour_sets(prompts),
            }
        ),
        generation=Generation(**config["generation"]),
        methods=vectors["methods"],
        layers=vectors["layers"],
        dim=Dim(**vectors["dim"]),
        search=Search(**vectors["search"], learned=vectors["learned"]),
        circuits=Circuits(
            **{
                **config["circuits"],
                "methods": _methods_of(config, "circuits"),
                "sizes_percent": [float(share) for share in config["circuits"]["sizes_percent"]],
            }
        ),
        attention=Attention(
            **{
                **config["attention"],
                "methods": _with_dim(_methods_of(config, "attention")),
                "ablations": _ablations(config["attention"]["ablations"]),
            }
        ),
        sparsity=_sparsity(config),
        judges=_judges(config["judges"]),
        confidence=config["statistics"]["confidence"],
        export=Export(**config["export"]),
        pocket=_pocket(config["pocket"]),
    )


def _pocket(options: Mapping[str, Any]) -> Mapping[str, Any]:
    """Settings of the bundled models, once every name in `plans` and `mixtures` is one of a shape."""
    for key in ("plans", "mixtures"):
        for name in options[key]:
            if name not in options["shapes"]:
                raise ValueError(
                    f"config: pocket.{key} names {name!r}, which is no shape{_nearest(name, options['shapes'])}"
                )
    return options


def model_options(name: str, options: Mapping[str, Mapping[str, Any]]) -> ModelOptions:
    """Options of a model; a name without an entry is a hub id or a local folder.

    Raises:
        ValueError: if it is none of them, naming the nearest known model.
    """
    entry = options.get(name)
    if entry is None:
        if "/" not in name and not Path(name).is_dir():
            raise ValueError(
                f"models: {name!r} is not in model_options, no hub id (owner/name) and no local folder"
                f"{_nearest(name, options)}"
            )
        entry = {}
    direction = entry.get("direction")
    return ModelOptions(
        name=_slug(name),
        source=entry.get("source", name),
        revision=entry.get("revision"),
        dtype=entry.get("dtype", "bfloat16"),
        contexts=entry.get("contexts", {}),
        refusal_tokens=entry.get("refusal_tokens"),
        direction=Direction(**direction) if direction else None,
        max_depth=entry.get("max_depth"),
        circuit_step=entry.get("circuits", {}).get("step"),
        top_edges=entry.get("circuits", {}).get("top_edges", 100),
    )


def _of_source(prompts: Mapping[str, Any], key: str, meaning: str) -> Mapping[str, Any]:
    """The entry of the configured source."""
    source = prompts["source"]
    if source not in prompts[key]:
        raise ValueError(f"config: prompts.{key} has no entry {source!r}, the prompts.source; give {meaning}")
    return prompts[key][source]


def _main_sets(prompts: Mapping[str, Any]) -> Mapping[str, str]:
    """The main test set of each label."""
    main = _of_source(prompts, "main_sets", "one test set of each label")
    known = list(_of_source(prompts, "test_sizes", "its test sets"))
    for label, name in main.items():
        if name not in known:
            raise ValueError(
                f"config: prompts.main_sets names {name!r} for {label} prompts, which is no test set"
                f"{_nearest(name, known)}"
            )
    return main


def _methods_of(config: Mapping[str, Any], section: str) -> list[str]:
    """Methods that a part of the study takes; controls steer nothing and are left out."""
    methods = [name for name in config["vectors"]["methods"] if name not in CONTROLS]
    wanted = config[section]["methods"]
    for name in wanted or []:
        if name not in methods:
            raise ValueError(
                f"config: {section}.methods names {name!r}, which is not in vectors.methods or is a control"
                f"{_nearest(name, methods)}"
            )
    return list(wanted or methods)


def _with_dim(methods: list[str]) -> list[str]:
    """Methods whose steering is ablated: Table 1 and its examples are of DIM."""
    if "dim" not in methods:
        raise ValueError(
            f"config: attention.methods is {methods}, expected 'dim' in it: Table 1 is of DIM; add it"
        )
    return methods


def _behaviour_sets(prompts: Mapping[str, Any]) -> Sequence[str]:
    """Test sets that are answered under ablations and by sparse vectors."""
    source = prompts["source"]
    sets = prompts["behaviour_sets"].get(source) or list(_main_sets(prompts).values())
    known = list(_of_source(prompts, "test_sizes", "its test sets"))
    for name in sets:
        if name not in known:
            raise ValueError(
                f"config: prompts.behaviour_sets.{source} names {name!r}, which is no test set{_nearest(name, known)}"
            )
    return sets


def _sparsity(config: Mapping[str, Any]) -> Sparsity:
    """Methods with scores of their dimensions, and a grid."""
    section = config["sparsity"]
    scored = _methods_of(config, "circuits")
    for name in section["methods"] or []:
        if name not in scored:
            raise ValueError(
                f"config: sparsity.methods names {name!r}, whose dimensions have no scores{_nearest(name, scored)}; "
                "name it in circuits.methods as well"
            )
    if not section["percents"] and not section["thresholds"]:
        raise ValueError("config: sparsity.percents and sparsity.thresholds are both empty; give one of them")
    floats = {
        key: [float(value) for value in section[key]] for key in ("percents", "thresholds", "shared_percents")
    }
    return Sparsity(**{**section, **floats, "methods": list(section["methods"] or scored)})


def _judges(section: Mapping[str, Any]) -> Judges:
    """Judges that there are, an adapter's base model for an adapter alone, and labelled texts that are there."""
    for key in ("harmless", "harmful"):
        try:
            check_judge(section[key])
        except ValueError as error:
            raise ValueError(f"config: judges.{key} is {error}") from None
    for name, options in section["classifiers"].items():
        if name != "strongreject" and options.keys() & {"base_model", "base_revision"}:
            raise ValueError(
                f"config: judges.classifiers.{name} has a base model, but only strongreject is an adapter; remove it"
            )
    labels = section["labels"]
    if labels is not None and not Path(labels).is_file():
        raise ValueError(
            f"config: judges.labels is {labels!r}, where there is no file; expected a CSV of prompt, response and "
            "label, or null (docs/judges.md)"
        )
    return Judges(**section)


def _ablations(by_scope: Mapping[str, Sequence[str]]) -> Mapping[str, Sequence[str]]:
    """Ablations of each scope, each of them one that there is."""
    for scope, names in by_scope.items():
        if "none" not in names:
            raise ValueError(
                f"config: attention.ablations.{scope} lacks 'none', which the others are compared with; add it"
            )
        for name in names:
            try:
                parse_ablation(name)
            except ValueError as error:
                raise ValueError(f"config: attention.ablations.{scope}: {error}") from None
    return by_scope


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


def check_methods(vectors: Mapping[str, Any]) -> None:
    """Refuse a method that nothing makes."""
    known = ["dim", *CONTROLS, *vectors["learned"]]
    for method in vectors["methods"]:
        if method not in known:
            raise ValueError(
                f"config: vectors.methods names {method!r}, which is no method{_nearest(method, known)}; "
                "a learned method of your own needs an entry in vectors.learned (docs/vectors.md)"
            )
    for method in vectors["learned"]:
        if not (VECTORS / f"{method}.py").exists():
            raise ValueError(
                f"config: vectors.learned.{method} has no file {VECTORS.name}/{method}.py; write one (docs/vectors.md)"
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
        return f"unknown key {path!r}{_nearest(str(unknown), known)}"
    if error.validator == "required":
        return f"{key}: {error.message}"
    if error.validator == "enum":
        return f"{key} is {error.instance!r}, expected one of {', '.join(map(str, wanted))}{_nearest(str(error.instance), wanted)}"
    return f"{key} is {error.instance!r}: {error.message}"


def _nearest(name: str, known: Any) -> str:
    names = [str(item) for item in known]
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f", did you mean {near[0]!r}?" if near else f", known: {', '.join(names)}" if names else ""


def _slug(name: str) -> str:
    """Folder name of a model: the last part of a hub id or path, in lower case."""
    return re.sub(r"[^a-z0-9._-]", "-", Path(name).name.lower())
