"""The config: each wrong value is one line, overlays merge, and schema, study.yaml and README name the same keys."""

from __future__ import annotations

import copy
import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from snakemake.utils import update_config

from steering_study.study.config import FOLDERS, SCHEMA, load_study

ROOT = Path(__file__).parents[2]
README = (ROOT / "config/README.md").read_text("utf-8")
STUDY = yaml.safe_load((ROOT / "config/study.yaml").read_text("utf-8"))
OF_A_NAME = "<name>"  # stands for a key that the user invents


def merged(overlay: Mapping[str, Any]) -> dict[str, Any]:
    """study.yaml under an overlay, merged as Snakemake merges them."""
    config = copy.deepcopy(dict(overlay))
    update_config(config, STUDY)
    update_config(config, overlay)
    return config


def error_of(overlay: str) -> str:
    with pytest.raises(ValueError, match=r".+") as raised:
        load_study(merged(yaml.safe_load(overlay)))
    return str(raised.value)


# Errors


@pytest.mark.parametrize(
    ("overlay", "starts"),
    [
        ("{sead: 1}", "config: unknown key 'sead', did you mean 'seed'?"),
        ("{zzz: 1}", "config: unknown key 'zzz', known: seed, threads, models, "),
        (
            "{vectors: {dim: {max_kll: 1}}}",
            "config: unknown key 'vectors.dim.max_kll', did you mean 'max_kl'?",
        ),
        (
            "{model_options: {mine: {sorce: a/b}}}",
            "config: unknown key 'model_options.mine.sorce', did you mean 'source'?",
        ),
        (
            "{prompts: {files: [{path: a.csv, name: a, text: b, rolle: pool}]}}",
            "config: unknown key 'prompts.files.0.rolle', did you mean 'role'?",
        ),
        (
            "{judges: {classifiers: {llamaguard: {source: a/b}}}}",
            "config: unknown key 'judges.classifiers.llamaguard'",
        ),
    ],
)
def test_unknown_key_names_the_nearest(overlay, starts):
    assert error_of(overlay).startswith(starts)


@pytest.mark.parametrize(
    ("overlay", "starts"),
    [
        (
            "{prompts: {source: publik}}",
            "config: prompts.source is 'publik', expected one of bundled, public, files, did you mean 'public'?",
        ),
        (
            "{model_options: {mine: {dtype: int8}}}",
            "config: model_options.mine.dtype is 'int8', expected one of float32, bfloat16, float16",
        ),
        (
            "{vectors: {methods: [dim, nttp]}}",
            "config: vectors.methods names 'nttp', which is no method, did you mean 'ntp'?",
        ),
        (
            "{vectors: {learned: {mine: {factors: [1.0]}}}}",
            "config: vectors.learned.mine has no file vectors/methods/mine.py; write one",
        ),
        (
            "{vectors: {learned: {selection: {factors: [1.0]}}}}",  # a module of the package, and no method
            "config: vectors.learned.selection has no file vectors/methods/selection.py; write one",
        ),
        (
            "{vectors: {learned: {__init__: {factors: [1.0]}}}}",
            "config: ",
        ),
        (
            "{pocket: {plans: {pocket-lama: {steps: 5}}}}",
            "config: pocket.plans names 'pocket-lama', which is no shape, did you mean 'pocket-llama'?",
        ),
        (
            "{judges: {harmful: llama_guard}}",
            "config: judges.harmful is 'llama_guard', which is no judge, did you mean 'llama_guard_",
        ),
    ],
)
def test_wrong_choice_names_the_choices(overlay, starts):
    assert error_of(overlay).startswith(starts)


@pytest.mark.parametrize(
    ("overlay", "starts"),
    [
        ("{seed: -1}", "config: seed is -1: "),
        ("{vectors: {dim: {max_depth: 1.5}}}", "config: vectors.dim.max_depth is 1.5: "),
        ("{vectors: {dim: {max_kl: 0}}}", "config: vectors.dim.max_kl is 0: "),
        (
            "{vectors: {dim: {coefficients: {bypass: [1.0]}}}}",
            "config: vectors.dim.coefficients.bypass.0 is 1.0: ",
        ),
        ("{prompts: {sizes: {train: 0}}}", "config: prompts.sizes.train is 0: "),
        ("{prompts: {test_sizes: {bundled: {ood: -5}}}}", "config: prompts.test_sizes.bundled.ood is -5: "),
        ("{statistics: {confidence: 1}}", "config: statistics.confidence is 1: "),
        ("{generation: {batch_size: many}}", "config: generation.batch_size is 'many': "),
        ("{models: []}", "config: models is []: "),
        ("{prompts: {concept: Two words}}", "config: prompts.concept is 'Two words': "),
    ],
)
def test_value_out_of_range_is_named_with_its_key(overlay, starts):
    assert error_of(overlay).startswith(starts)


@pytest.mark.parametrize("sign", "{}<>")
@pytest.mark.parametrize(
    ("overlay", "key"),
    [
        ({"models": ["a/b{sign}"]}, "models.0"),
        ({"model_options": {"mine": {"source": "a/b{sign}"}}}, "model_options.mine.source"),
        ({"prompts": {"mirror": "a{sign}"}}, "prompts.mirror"),
        ({"prompts": {"files": [{"path": "a{sign}", "name": "a", "text": "t"}]}}, "prompts.files.0.path"),
        ({"judges": {"labels": "a{sign}"}}, "judges.labels"),
        ({"judges": {"classifiers": {"minos": {"source": "a{sign}"}}}}, "judges.classifiers.minos.source"),
    ],
)
def test_signs_in_paths_that_snakemake_would_replace_are_refused(overlay, key, sign):
    line = error_of(yaml.safe_dump(overlay).replace("{sign}", sign))
    assert line.startswith(f"config: {key} is ")
    assert "does not match '^[^{}<>]+$'" in line


@pytest.mark.parametrize(
    "name", ["a/.hidden", "a/-flag", "a/..", "a/prompts", "a/Summary", "a/export", "a/é"]
)
def test_a_model_whose_results_would_lie_elsewhere_is_refused(name):
    assert error_of(yaml.safe_dump({"models": [name]})).startswith("models: one would write to results/")


def test_folders_of_results_are_those_of_the_rules():
    text = "".join(path.read_text("utf-8") for path in (ROOT / "workflow/rules").glob("*.smk"))
    assert set(re.findall(r"results/(\w+)/", text)) == set(FOLDERS)


@pytest.mark.parametrize("key", ["layer", "position", "induce", "bypass"])
def test_published_direction_is_whole_or_absent(key):
    direction = {"layer": 3, "position": -1, "induce": 1.0, "bypass": -1.0}
    del direction[key]
    overlay = yaml.safe_dump({"model_options": {"mine": {"direction": direction}}})
    assert error_of(overlay).startswith(
        f"config: model_options.mine.direction: '{key}' is a required property"
    )


def test_missing_section_is_named():
    config = merged({})
    del config["judges"]
    with pytest.raises(ValueError, match=r"^config: top level: 'judges' is a required property"):
        load_study(config)


def test_errors_are_one_line():
    for overlay in ("{sead: 1}", "{seed: -1}", "{models: [nobody]}", '{models: "a\\nb"}'):
        assert "\n" not in error_of(overlay)


def test_errors_of_the_readme_are_those_of_the_code():
    lines = README.split("## Common errors")[1]
    told = re.findall(r"^\| `(.+?)` \| (.+) \|$", lines, flags=re.M)
    assert len(told) > 5
    assert [error_of(overlay) for overlay, _ in told] == [line for _, line in told]


# Models


def models_of(*names: str) -> list[Any]:
    return list(load_study(merged({"models": list(names)})).models.values())


def test_a_gguf_file_is_a_model_that_has_its_name(tmp_path):
    path = tmp_path / "My-Model.Q4_K_M.gguf"
    path.touch()
    (model,) = models_of(str(path))
    assert (model.name, model.source, model.is_gguf) == ("my-model.q4_k_m", str(path), True)
    assert not models_of("owner/name")[0].is_gguf


def test_a_gguf_file_that_is_not_there_is_named():
    assert "is the GGUF file 'no/such.gguf', and there is no such file" in error_of(
        "{models: [no/such.gguf]}"
    )


def test_a_checksum_is_of_a_gguf_file_alone():
    config = "{models: [mine], model_options: {mine: {source: owner/name, sha256: " + "a" * 64 + "}}}"
    assert "model_options.mine.sha256 is of a GGUF file, but 'owner/name' is none" in error_of(config)


def test_unknown_model_names_the_nearest():
    assert error_of("{models: [pocket-lama]}") == (
        "models: 'pocket-lama' is not in model_options, no hub id (owner/name), no local folder and no GGUF file, "
        "did you mean 'pocket-llama'?"
    )


def test_hub_id_needs_no_entry():
    (model,) = models_of("Owner/Some-Model_7B")
    assert (model.name, model.source, model.revision) == ("some-model_7b", "Owner/Some-Model_7B", None)
    assert (model.dtype, model.refusal_request) == ("bfloat16", None)
    assert model.refusal_tokens is None
    assert model.direction is None


def test_local_folder_needs_no_entry(tmp_path, monkeypatch):
    (tmp_path / "My model").mkdir()
    monkeypatch.chdir(tmp_path)
    (model,) = models_of("My model")
    assert (model.name, model.source) == ("my-model", "My model")


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("a/B", "b"),
        ("a/Llama-3.2_1B", "llama-3.2_1b"),
        ("/x/y/my model/", "my-model"),
        ("a/b+c", "b-c"),
    ],
)
def test_folder_name_of_a_model_is_its_last_part_in_plain_letters(name, slug):
    assert [model.name for model in models_of(name)] == [slug]


def test_entry_gives_its_options():
    (model,) = models_of("gemma-2-2b-it")
    assert (model.source, model.dtype) == ("google/gemma-2-2b-it", "bfloat16")
    assert (model.direction.layer, model.direction.position) == (15, -1)
    assert "{prompt}" in model.refusal_request


# Overlays


@pytest.mark.parametrize("path", sorted((ROOT / "config").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_config_of_the_repository_loads(path):
    load_study(merged(yaml.safe_load(path.read_text("utf-8"))))


def test_overlay_merges_maps_and_replaces_lists():
    study = load_study(merged({"vectors": {"dim": {"max_kl": 0.2, "coefficients": {"induce": [3.0]}}}}))
    assert study.dim.max_kl == 0.2
    assert study.dim.max_depth == STUDY["vectors"]["dim"]["max_depth"]
    assert study.dim.coefficients["induce"] == [3.0]
    assert study.dim.coefficients["bypass"] == STUDY["vectors"]["dim"]["coefficients"]["bypass"]


def test_paper_overlay_has_the_published_sizes():
    study = load_study(merged(yaml.safe_load((ROOT / "config/paper.yaml").read_text("utf-8"))))
    assert dict(study.prompts.sizes) == {"train": 128, "validation": 32, "augmentation": 128}
    assert dict(study.prompts.test_sizes) == {"jailbreakbench": 100, "alpaca": 100, "strongreject": 313}
    assert study.generation.max_new_tokens == 512
    assert all(model.direction for model in study.models.values())


# Schema, study.yaml and README in step


def schema_keys(node: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """Dotted paths of every value that a config may hold."""
    if "$ref" in node:
        node = yaml.safe_load(SCHEMA.read_text("utf-8"))["$defs"][node["$ref"].rsplit("/", 1)[1]]
    inner = dict(node.get("properties", {}))
    for invented in (node.get("additionalProperties"), *node.get("patternProperties", {}).values()):
        inner |= {OF_A_NAME: invented} if isinstance(invented, Mapping) else {}
    items = node.get("items", {})
    if "properties" in items:
        yield from schema_keys(items, f"{path}[]")
    elif inner:
        for key, value in inner.items():
            yield from schema_keys(value, f"{path}.{key}" if path else key)
    else:
        yield path


KEYS = list(schema_keys(yaml.safe_load(SCHEMA.read_text("utf-8"))))


def readme_rows() -> dict[str, str]:
    """Default, as written, of each key of the README's tables."""
    tables = README.split("## Keys")[1].split("## Common errors")[0]
    return dict(re.findall(r"^\| `([^`]+)` \| [^|]+ \| ([^|]+) \|", tables, flags=re.M))


FIXED = [key for key in KEYS if OF_A_NAME not in key and "[]" not in key and readme_rows().get(key) != "—"]


def value_at(config: Mapping[str, Any], key: str) -> Any:
    for part in key.split("."):
        config = config[part]
    return config


def test_readme_explains_every_key_of_the_schema_and_no_other():
    assert sorted(readme_rows()) == sorted(KEYS)


@pytest.mark.parametrize("key", FIXED)
def test_study_yaml_holds_the_value_that_the_readme_states(key):
    assert value_at(STUDY, key) == yaml.safe_load(readme_rows()[key].strip("`"))


def test_main_sets_must_be_test_sets():
    overlay = {
        "prompts": {
            **STUDY["prompts"],
            "main_sets": {"bundled": {"harmful": "harmfull", "harmless": "harmless"}},
        }
    }
    with pytest.raises(ValueError, match="did you mean 'harmful'"):
        load_study({**STUDY, **overlay})


@pytest.mark.parametrize("method", ["random", "npt"])
def test_circuits_are_those_of_methods_of_the_study(method):
    with pytest.raises(ValueError, match=r"circuits\.methods"):
        load_study({**STUDY, "circuits": {**STUDY["circuits"], "methods": [method]}})


def test_controls_have_no_circuits():
    assert list(load_study(STUDY).circuits.methods) == ["dim", "ntp", "po"]


def test_rules_that_the_readme_names_exist():
    cells = re.findall(r"^\| `[^`]+` \| [^|]+ \| [^|]+ \| [^|]+ \| ([^|]+) \|", README, flags=re.M)
    named = {name for cell in cells for name in cell.split(", ") if re.fullmatch(r"[a-z]+_[a-z_]+", name)}
    text = "".join(path.read_text("utf-8") for path in (ROOT / "workflow/rules").glob("*.smk"))
    rules = set(re.findall(r"^rule (\w+):", text, flags=re.M))
    assert len(named) > 5
    assert named <= rules


def test_defaults_of_an_entry_are_those_of_the_readme():
    (model,) = models_of("owner/name")
    rows = {
        key.rsplit(".", 1)[1]: row.strip("`") for key, row in readme_rows().items() if key.count(".") == 2
    }
    assert (model.revision, model.dtype) == (yaml.safe_load(rows["revision"]), rows["dtype"])
    assert model.refusal_tokens == yaml.safe_load(rows["refusal_tokens"])


def test_search_is_the_product_of_its_lists_and_jobs_share_a_batch_size():
    search = load_study(STUDY).search
    search = replace(
        search,
        batch_sizes=[6, 12],
        learning_rates=[0.1, 0.2],
        seeds=[1],
        trials_per_job=3,
        learned={"po": {"factors": [1.0], "phi": [0.02, 1e-5], "length": "answer"}},
    )
    trials = search.trials("po")
    assert [trial["trial"] for trial in trials] == list(range(8))
    assert {(t["batch_size"], t["learning_rate"], t["phi"]) for t in trials} == set(
        itertools.product([6, 12], [0.1, 0.2], [0.02, 1e-5])
    )
    jobs = search.shards("po")
    assert [len(job) for job in jobs] == [3, 1, 3, 1]
    assert [trial for job in jobs for trial in job] == trials
    assert all(len({trial["batch_size"] for trial in job}) == 1 for job in jobs)


def test_method_may_have_learning_rates_of_its_own():
    search = replace(
        load_study(STUDY).search,
        learning_rates=[0.1, 0.2],
        learned={
            "ntp": {"factors": [1.0], "learning_rates": None},
            "po": {"factors": [1.0], "phi": [0.02], "learning_rates": [0.3]},
        },
    )
    assert [trial["learning_rate"] for trial in search.trials("ntp")] == [0.1, 0.2]
    assert [trial["learning_rate"] for trial in search.trials("po")] == [0.3]


def test_method_without_phi_has_none():
    assert {trial["phi"] for trial in load_study(STUDY).search.trials("ntp")} == {None}


def with_attention(**values):
    return with_section("attention", **values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"ablations": {"all": ["none", "svvs"]}},
            "attention.ablations.all: ablation 'svvs': 'svvs' is unknown",
        ),
        ({"ablations": {"all": ["qk"]}}, "attention.ablations.all lacks 'none'"),
        (
            {"ablations": {"all": ["none"], "prompt": ["none", "ov@x"]}},
            "attention.ablations.prompt: ablation 'ov@x'",
        ),
        (
            {"ablations": {"all": ["none"], "promt": ["none"]}},
            "unknown key 'attention.ablations.promt', did you mean",
        ),
        ({"methods": ["random"]}, "attention.methods names 'random'"),
        ({"methods": ["ntp"]}, "expected 'dim' in it"),
    ],
)
def test_what_cannot_be_ablated_is_refused_before_anything_runs(values, message):
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        load_study(with_attention(**values))
    assert "\n" not in str(caught.value)


def with_section(section, **values):
    return {**STUDY, section: {**STUDY[section], **values}}


def test_behaviour_sets_default_to_the_main_ones():
    config = with_section("prompts", behaviour_sets={"public": ["alpaca"]})
    assert list(load_study(config).prompts.behaviour_sets) == ["harmful", "harmless"]


@pytest.mark.parametrize(
    ("section", "values", "message"),
    [
        (
            "prompts",
            {"behaviour_sets": {"bundled": ["harmfull"]}},
            "prompts.behaviour_sets.bundled names 'harmfull', which is no test set",
        ),
        (
            "sparsity",
            {"methods": ["dimm"]},
            "sparsity.methods names 'dimm', whose dimensions have no scores, ",
        ),
        ("sparsity", {"percents": []}, "sparsity.percents and sparsity.thresholds are both empty"),
        (
            "sparsity",
            {"percents": [100]},
            "sparsity.percents.0 is 100: 100 is greater than or equal to the maximum",
        ),
    ],
)
def test_what_cannot_be_sparsified_is_refused_before_anything_runs(section, values, message):
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        load_study(with_section(section, **values))
    assert "\n" not in str(caught.value)


def test_sparse_methods_default_to_those_with_circuits():
    config = with_section("circuits", methods=["dim", "po"])
    assert list(load_study(config).sparsity.methods) == ["dim", "po"]


@pytest.mark.parametrize(
    ("models", "vectors", "expected"),
    [
        (["pocket-llama", "gemma-2-2b-it"], "bundled", ["pocket-llama"]),
        (["gemma-2-2b-it", "resources/models/pocket-gemma"], "bundled", ["pocket-gemma"]),
        (["gemma-2-2b-it", "owner/name"], "bundled", []),
        (["gemma-2-2b-it", "owner/name"], "all", ["gemma-2-2b-it", "name"]),
    ],
)
def test_vectors_of_real_models_are_exported_on_request_alone(models, vectors, expected):
    study = load_study({**STUDY, "models": models, "export": {"vectors": vectors}})
    assert study.vector_models == expected


def test_judges_in_use_and_with_an_entry_are_tested_beside_the_phrases():
    assert load_study(STUDY).judges.tested == ["declines", "phrases"]
    assert load_study(STUDY).judges.in_use == ["declines", "phrases"]
    judges = {**STUDY["judges"], "harmful": "wildguard", "classifiers": {"minos": {"source": "a/b"}}}
    assert load_study({**STUDY, "judges": judges}).judges.tested == [
        "declines",
        "minos",
        "phrases",
        "wildguard",
    ]


def test_a_study_may_have_no_second_judge_but_not_one_that_there_is_not():
    alone = {**STUDY, "judges": {**STUDY["judges"], "second": None}}
    assert load_study(alone).judges.in_use == ["phrases"]
    with pytest.raises(ValueError, match=r"config: judges\.second is 'decline', .*did you mean 'declines'"):
        load_study({**STUDY, "judges": {**STUDY["judges"], "second": "decline"}})


def test_a_base_model_is_of_an_adapter_alone():
    def with_entry(name: str):
        entry = {"source": "a/b", "base_model": "c/d"}
        return load_study({**STUDY, "judges": {**STUDY["judges"], "classifiers": {name: entry}}})

    assert with_entry("strongreject").judges.classifiers["strongreject"]["base_model"] == "c/d"
    with pytest.raises(ValueError, match=r"judges\.classifiers\.minos has a base model, .*; remove it"):
        with_entry("minos")


def test_labels_that_are_not_there_are_refused_before_anything_runs(tmp_path):
    judges = {**STUDY["judges"], "labels": str(tmp_path / "none.csv")}
    with pytest.raises(
        ValueError, match=r"judges\.labels is .*none\.csv', where there is no file; expected a CSV"
    ):
        load_study({**STUDY, "judges": judges})
    (tmp_path / "none.csv").touch()
    assert load_study({**STUDY, "judges": judges}).judges.labels == judges["labels"]
