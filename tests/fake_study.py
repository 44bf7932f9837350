"""A study's results as the rules write them, made up: two models, one prompt that is hostile to HTML."""

import importlib.util
from base64 import b64decode
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest

from steering_study.attention.schemas import ABLATION_MEANS
from steering_study.claims.criteria import average_claims, judge_claims, read_claims
from steering_study.claims.measurements import MEASUREMENTS, measure_all
from steering_study.claims.quantities import Setting, averaged_ablations
from steering_study.claims.schemas import CLAIM_MEANS, CLAIMS
from steering_study.judges.schemas import JUDGE_ERRORS, VERDICTS
from steering_study.prompts.schemas import PROMPTS
from steering_study.report.gallery import own_figures, read_gallery
from steering_study.report.sections import (
    Section,
    figure_paths,
    frame_paths,
    notebook_path,
    read_report,
    section_file,
    section_inputs,
)
from steering_study.stats import wilson_interval
from steering_study.steering.agreement import compare_judges
from steering_study.store.artifacts import read_table, write_json, write_table
from steering_study.texts.schemas import RESPONSES
from tests.attention.frames import SETTINGS, ablation_summaries, decompositions, frozen_verdicts
from tests.circuits.frames import circuit_summaries
from tests.sparsity.frames import sparsity_summaries
from tests.tables import TABLES

ROOT = Path(__file__).parents[1]
MODELS = ("pocket-llama", "pocket-gemma")
ARCHITECTURES = {"pocket-llama": "LlamaForCausalLM", "pocket-gemma": "Gemma2ForCausalLM"}
HOSTILE = '<script>alert("prompt")</script> & <b>bold</b>'
QUESTION = "How do I take care of number {} of the {} list?"
COEFFICIENTS = {"base": 0.0, "induce": 1.0, "bypass": -1.0}
RULES = (
    "prepare_prompts",
    "generate",
    "judge_responses",
    "measure_judges",
    "select_direction",
    "choose_coefficient",
    "summarise_steering",
    "summarise_layers",
    "measure_side_effects",
    "compare_vectors",
    "pair_responses",
    "select_vector",
    "summarise_circuits",
    "freeze_attention",
    "summarise_ablations",
    "average_ablations",
    "join_decompositions",
    "summarise_sparsity",
    "judge_claims",
    "average_claims",
)
METHODS = ("dim", "ntp", "random")
CIRCUIT_METHODS = ("dim", "ntp")
DOT = b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAG7buVgAAAABJRU5ErkJggg=="
)  # a PNG of one pixel
REPORT = read_report(ROOT / "workflow/report/report.yaml")
GALLERY = read_gallery(ROOT / "workflow/report/gallery.yaml", REPORT)
GRID = (0.25, 0.5, 0.7, 1.0, 1.4, 2.0)


@dataclass(frozen=True)
class FakeStudy:
    """Where it lies; `rules` is a file with a stub of every rule."""

    root: Path
    models: tuple[str, ...]
    rules: Path
    sections: Path

    @property
    def cards(self) -> list[Path]:
        return [self.root / f"results/{model}/model.json" for model in self.models]


@pytest.fixture(scope="session")
def load_script() -> Callable[[str], ModuleType]:
    """A rule script as a module."""

    def load(name: str) -> ModuleType:
        (path,) = (ROOT / "workflow/scripts").glob(f"*/{name}.py")
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture(scope="module")
def fake_study(tmp_path_factory) -> FakeStudy:
    """Results of every rule before the report."""
    return make_study(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="session")
def drawn_study(tmp_path_factory, load_script) -> FakeStudy:
    """The same with the frames and figures of every section, empty notebooks and texts, and dots for figures of one model alone."""
    study = make_study(tmp_path_factory.mktemp("drawn"))
    for section in REPORT.sections:
        load_script("draw_figures").main(
            section_file(study.sections, section.name), **draw_arguments(study, section)
        )
        for suffix in ("ipynb", "html"):
            path = study.root / notebook_path(section, suffix)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    (study.root / "reports/texts.html").touch()
    for each in own_figures(GALLERY, REPORT, models=study.models, methods=CIRCUIT_METHODS):
        for path in map(study.root.joinpath, each.paths):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(DOT)
    return study


@pytest.fixture(scope="session")
def arguments_of() -> Callable[[FakeStudy, Section], dict[str, Any]]:
    """What `draw_figures.main` is given for a section of a study."""
    return draw_arguments


def draw_arguments(study: FakeStudy, section: Section) -> dict[str, Any]:
    inputs = section_inputs(section, study.models, METHODS)
    return {
        "models": study.models,
        "cards": study.cards,
        "tables": {name: [study.root / path for path in paths] for name, paths in inputs.items()},
        "published": {name: ROOT / path for name, path in section.published.items()},
        "frames": [study.root / path for path in frame_paths(section)],
        "figures": [study.root / path for path in figure_paths(section)],
    }


def make_study(root: Path, *, n: int = 20, models: tuple[str, ...] = MODELS) -> FakeStudy:
    rules = root / "workflow/rules/fake.smk"
    rules.parent.mkdir(parents=True)
    rules.write_text(
        "\n\n".join(f"rule {rule}:\n    output:\n        '{rule}.out'," for rule in RULES) + "\n"
    )
    prompts = pd.DataFrame(
        [
            (f"{name}-{i:03d}", label, name, HOSTILE if i == 0 else QUESTION.format(i, name))
            for name, label in (("harmful", "harmful"), ("harmless", "harmless"), ("ood", "harmful"))
            for i in range(n)
        ],
        columns=["id", "label", "source", "text"],
    ).assign(split="test", concept="refusal")
    write_table(
        root / "results/prompts/prompts.parquet",
        prompts,
        PROMPTS,
        provenance={"rule": "prepare_prompts"},
    )
    frozen = {
        model: write_model(root / "results" / model, model, prompts, rng=np.random.default_rng(place))
        for place, model in enumerate(models)
    }
    _, means = ablation_summaries(frozen)
    write_table(
        root / "results/summary/ablation_means.parquet",
        means,
        ABLATION_MEANS,
        provenance={"rule": "average_ablations"},
    )
    claims = {model: write_claims(root / "results" / model, model) for model in models}
    write_table(
        root / "results/summary/claim_means.parquet",
        average_claims(claims, averaged_ablations(means)),
        CLAIM_MEANS,
        provenance={"rule": "average_claims"},
    )
    write_table(
        root / "results/summary/judge_errors.parquet",
        judge_errors(),
        JUDGE_ERRORS,
        provenance={"rule": "measure_judges"},
    )
    return FakeStudy(root, models, rules, ROOT / "workflow/report/report.yaml")


def judge_errors() -> pd.DataFrame:
    """Of the judge of phrases, on texts of the corpus: 1 in 40 missed, 2 in 40 false, on prompts of any label."""
    rows = []
    for label in ("all", "harmful", "harmless"):
        for truth, n_refused, wrong in (("complied", 2, 2), ("refused", 39, 1)):
            rates = {
                f"{name}_{end}": value
                for name, count in (("refused", n_refused), ("error", wrong))
                for end, value in zip(
                    ("rate", "low", "high"),
                    (count / 40, *wilson_interval(count, 40, confidence=0.95)),
                    strict=True,
                )
            }
            rows.append({"label": label, "truth": truth, "n_refused": n_refused, **rates})
    return pd.DataFrame(rows).assign(judge="phrases", source="corpus", opening="plain", n=40)


def write_claims(folder: Path, model: str) -> pd.DataFrame:
    """Judge a model's results; its `claims` table."""
    names = {name for each in MEASUREMENTS.values() for name in each.tables}
    tables = {name: read_table(folder / f"{name}.parquet", TABLES[name]) for name in names}
    setting = Setting({"harmful": "harmful", "harmless": "harmless"}, ["ood"], confidence=0.95, seed=0)
    listed = read_claims(ROOT / "resources/paper/claims.csv", MEASUREMENTS)
    quantities = measure_all(tables, dict.fromkeys(names, "summarise_circuits"), setting)
    claims = judge_claims(listed, quantities, model=model, confidence=0.95)
    write_table(folder / "claims.parquet", claims, CLAIMS, provenance={"rule": "judge_claims"})
    return claims


def write_model(folder: Path, model: str, prompts: pd.DataFrame, *, rng: np.random.Generator) -> pd.DataFrame:
    """Write a model's results; its verdicts under ablations."""
    write_json(folder / "model.json", card(model))

    def write(name: str, frame: pd.DataFrame, table: str, rule: str) -> None:
        write_table(folder / name, frame, TABLES[table], provenance={"rule": rule})

    write("candidates.parquet", candidates(rng), "candidates", "select_direction")
    for method in METHODS:
        curve = dose_response(model).assign(method=method)
        write(f"{method}/dose_response.parquet", curve, "dose_response", "choose_coefficient")
        effects = side_effects(curve)
        write(f"{method}/side_effects.parquet", effects, "side_effects", "measure_side_effects")
    write("layers.parquet", layers(model), "layers", "summarise_layers")
    write("cosine.parquet", cosines(rng), "cosine", "compare_vectors")
    write("pairs.parquet", pairs(), "pairs", "pair_responses")
    write("ntp/trials.parquet", trials(), "trials", "select_vector")
    write("ntp/training.parquet", training(), "training", "select_vector")
    base = answers(prompts, rng, steered=False)
    steered = answers(prompts, rng, steered=True)
    for path, rows in (("none/base", base), ("dim/test", steered)):
        responses = rows.drop(columns=[c for c in rows if c in VERDICT_COLUMNS])
        verdicts = rows[VERDICTS.names]
        write(f"{path}/responses.parquet", responses, "responses", "generate")
        write(f"{path}/verdicts.parquet", verdicts, "verdicts", "judge_responses")
    write("asr.parquet", rates(pd.concat([base, steered]), model), "asr", "summarise_steering")
    compared = compare_judges(pd.concat([base, steered]), model=model, confidence=0.95)
    write("judge_agreement.parquet", compared, "judge_agreement", "summarise_steering")
    flips = rates(steered, model).drop(columns="judge")
    names = {"asr": "flip_rate", "asr_low": "flip_low", "asr_high": "flip_high"}
    write("flips.parquet", flips.rename(columns=names), "flips", "summarise_steering")
    write("bystanders.parquet", bystanders(model), "bystanders", "summarise_steering")
    for name, table in circuit_summaries(("dim", "ntp")).items():
        write(f"{name}.parquet", table, name, "summarise_circuits")
    for name, table in decompositions(("dim", "ntp"), rng).items():
        write(f"{name}.parquet", table, name, "join_decompositions")
    for name, table in sparsity_summaries(("dim", "ntp"), rng).items():
        write(f"{name}.parquet", table, name, "summarise_sparsity")
    frozen = frozen_verdicts(steered, "dim", rng)
    (ablations,) = ablation_summaries({model: frozen})[0].values()
    write("ablations.parquet", ablations, "ablations", "summarise_ablations")
    write("dim/frozen/frozen_settings.parquet", SETTINGS, "frozen_settings", "freeze_attention")
    write("dim/frozen/responses.parquet", frozen[RESPONSES.names], "responses", "freeze_attention")
    write("dim/frozen/verdicts.parquet", frozen[VERDICTS.names], "verdicts", "judge_responses")
    return frozen


def bystanders(model: str) -> pd.DataFrame:
    table = pd.DataFrame(
        [(method, dataset) for method in METHODS for dataset in ("harmless", "borderline_safe")],
        columns=["method", "dataset"],
    )
    table = table.assign(model=model, condition="bypass", coefficient=-1.0, n=20)
    table = table.assign(refused_rate=0.1, refused_low=0.03, refused_high=0.3, base_refused_rate=0.2)
    table = table.assign(looping_rate=0.05, degenerate_rate=0.15)
    return table.assign(base_looping_rate=0.0, base_degenerate_rate=0.0)


VERDICT_COLUMNS = (
    "judge",
    "refused",
    "score",
    "second_judge",
    "second_refused",
    "second_score",
    "looping",
    "loop_share",
    "improbable_share",
    "unreadable",
    "degenerate",
    "verdict",
)


def card(model: str) -> dict:
    sizes = {"n_layers": 8, "n_heads": 8, "n_kv_heads": 2, "d_model": 128, "d_head": 16, "d_mlp": 384}
    return {
        "name": model,
        "source": f"resources/models/{model}",
        "revision": "0123456789abcdef" * 4,
        "architecture": ARCHITECTURES.get(model, "Qwen2ForCausalLM"),
        "dtype": "float32",
        **sizes,
        "d_vocab": 2048,
        "context": 512,
        "end_of_turn_ids": [3],
        "post_instruction_ids": [3, 5, 6, 7],
        "post_instruction_tokens": ["<|eot_id|>", "<|start|>", "assistant", "\n\n"],
        "template": {},
        "template_sha256": "0" * 64,
        "control_tokens": ["<|eot_id|>", "<|start|>"],
        "gguf": None,
    }


def candidates(rng: np.random.Generator) -> pd.DataFrame:
    rows = []
    for layer in range(8):
        for position in (-1, -2, -3, -4):
            strength = 6 * np.exp(-((layer - 3) ** 2) / 4) * (1 if position == -1 else 0.6)
            induce, bypass = rng.normal(strength - 2), rng.normal(2 - strength)
            kl = float(abs(rng.normal(0.06, 0.03)))
            reasons = [
                words
                for words, fell in (
                    ("layer >= 6", layer >= 6),
                    ("induce <= 0", induce <= 0),
                    ("kl >= 0.1", kl >= 0.1),
                )
                if fell
            ]
            rows.append((layer, position, bypass, induce, kl, not reasons, ", ".join(reasons)))
    columns = ["layer", "position", "bypass", "induce", "kl", "kept", "reason"]
    table = pd.DataFrame(rows, columns=columns).assign(ablation=0.0, selected=False)
    table.loc[(table["bypass"] - table["induce"]).where(table["kept"]).idxmin(), "selected"] = True
    return table


def dose_response(model: str) -> pd.DataFrame:
    rows = []
    for condition, sign in (("induce", 1), ("bypass", -1)):
        for dose in GRID:
            flipped = round(64 * (1 / (1 + np.exp(-6 * (dose - 0.6)))) * (1 if dose < 1.5 else 0.7))
            low, high = wilson_interval(flipped, 64, confidence=0.95)
            rows.append(
                (condition, sign * dose, flipped / 64, low, high, max(0.0, (dose - 1.1) / 2), dose == 1.0)
            )
    flips = ["flip_rate", "flip_low", "flip_high"]
    columns = ["condition", "coefficient", *flips, "degenerate_rate", "selected"]
    return pd.DataFrame(rows, columns=columns).assign(model=model, method="dim", layer=3, n=64, asr=0.5)


def layers(model: str) -> pd.DataFrame:
    at_one = dose_response(model).query("abs(coefficient) == 1").drop(columns=["selected", "layer"])
    return pd.concat(
        [
            at_one.assign(method=method, layer=layer, asr_low=0.4, asr_high=0.6)
            for method in METHODS
            for layer in range(8)
        ],
        ignore_index=True,
    )


def side_effects(curve: pd.DataFrame) -> pd.DataFrame:
    size = curve["coefficient"].abs()
    table = curve.assign(matched=size == 0.7, n_bystanders=20)
    table = table.assign(kl_nats=0.1 * size, kl_low=0.08 * size, kl_high=0.2 * size)
    table = table.assign(perplexity=1.2 + size, perplexity_low=1.1 + size, perplexity_high=1.3 + size)
    return table.assign(base_perplexity=1.2)


def cosines(rng: np.random.Generator) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"method_a": a, "method_b": b, "cosine": 1.0 if a == b else float(rng.uniform(-1, 1))}
            for a in METHODS
            for b in METHODS
        ]
    )


def pairs() -> pd.DataFrame:
    rows = []
    for i in range(12):
        split = "validation" if i > 8 else "train"
        label, origin, sign = ("harmful", "steered", -1.0) if i % 2 else ("harmless", "asked", 1.0)
        reason = "desired response is degenerate" if i == 3 else ""
        rows.append((f"{label}-{i:03d}", split, label, origin, sign, reason, not reason))
    columns = ["prompt_id", "split", "label", "origin", "sign", "reason", "kept"]
    table = pd.DataFrame(rows, columns=columns).assign(prompt=HOSTILE, desired=HOSTILE, undesired=HOSTILE)
    return table.assign(desired_ids=[[1]] * len(rows), undesired_ids=[[2]] * len(rows))


def trials() -> pd.DataFrame:
    table = pd.DataFrame(
        [(0, 0.01, 9.0, False), (1, 0.04, 8.0, True)],
        columns=["trial", "learning_rate", "validation_loss", "selected"],
    )
    table = table.assign(method="ntp", layer=3, batch_size=12, epochs=3, seed=42, n_pairs=8)
    table = table.assign(match_score=0.9, norm=4.0)
    return table.assign(**dict.fromkeys(("phi", "beta_q10", "beta_q50", "beta_q90"), np.nan))


def training() -> pd.DataFrame:
    return pd.DataFrame(
        [
            (trial, epoch, 30.0 / (1 + epoch), (27.0 - 3 * trial) / (1 + epoch) + trial, 1.0 + epoch)
            for trial in (0, 1)
            for epoch in range(4)
        ],
        columns=["trial", "epoch", "loss", "validation_loss", "norm"],
    ).assign(method="ntp", layer=3)


def answers(prompts: pd.DataFrame, rng: np.random.Generator, *, steered: bool) -> pd.DataFrame:
    rows = []
    for row in prompts.itertuples():
        refused = (row.label == "harmful") != steered
        refused = refused if rng.random() < 0.94 else not refused
        degenerate = steered and bool(rng.random() < 0.04)
        text = (
            "I'm sorry, but I cannot help with that."
            if refused
            else f"Sure! <i>First</i>, about {row.id}: take it step by step."
        )
        condition = "base" if not steered else "bypass" if row.label == "harmful" else "induce"
        verdict = "degenerate" if degenerate else "refused" if refused else "complied"
        rows.append((row.id, row.source, row.label, row.text, condition, text, refused, degenerate, verdict))
    asked = ["prompt_id", "dataset", "label", "prompt"]
    table = pd.DataFrame(rows, columns=[*asked, "condition", "text", "refused", "degenerate", "verdict"])
    table = table.assign(split="test", setting=0, judge="phrases", finished=True)
    table = table.assign(method="dim" if steered else "none", layer=3 if steered else -1)
    table = table.assign(token_ids=[[1, 2]] * len(rows), logprobs=[[-0.1, -0.2]] * len(rows))
    table = table.assign(unsteered_logprobs=table["logprobs"], improbable_share=0.0, unreadable=False)
    return table.assign(
        coefficient=table["condition"].map(COEFFICIENTS),
        score=table["refused"].astype(float),
        second_judge="declines",
        second_refused=~table["refused"] if steered else table["refused"],
        second_score=0.6,
        looping=table["degenerate"],
        loop_share=table["degenerate"].astype(float),
    )


def rates(rows: pd.DataFrame, model: str) -> pd.DataFrame:
    key = ["method", "condition", "dataset"]
    table = []
    for names, group in rows.groupby(key, sort=False):
        n, hits = len(group), int((~group["refused"]).sum())
        low, high = wilson_interval(hits, n, confidence=0.95)
        coefficient, degenerate = float(group["coefficient"].iloc[0]), float(group["degenerate"].mean())
        table.append((*names, coefficient, n, hits / n, low, high, degenerate))
    columns = [*key, "coefficient", "n", "asr", "asr_low", "asr_high", "degenerate_rate"]
    return pd.DataFrame(table, columns=columns).assign(model=model, judge="phrases")
