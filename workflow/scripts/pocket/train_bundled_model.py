"""Train one bundled model from nothing and write it as a Hugging Face folder, with its manifest."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from steering_study.pocket.corpus import Mixture
from steering_study.pocket.plan import Plan, Shape
from steering_study.pocket.train import train
from steering_study.store.artifacts import sha256_of, write_json
from steering_study.store.job import job, logger

if TYPE_CHECKING:
    snakemake: Any = None


def main(*, shape: Shape, plan: Plan, mixture: Mixture, folder: Path, settings: Mapping[str, Any]) -> None:
    """Train and save."""
    model, tokenizer = train(shape, plan, mixture, report=report)
    save(model, tokenizer, folder, settings=settings)


def save(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, folder: Path, *, settings: Mapping[str, Any]
) -> None:
    """Write weights, tokenizer, generation config, and the manifest: settings and every file's sha256."""
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.generation_config.do_sample = False
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    files = sorted(path for path in folder.iterdir() if path.name not in ("manifest.json", "README.md"))
    write_json(
        folder / "manifest.json",
        {
            "settings": settings,
            "torch": torch.__version__.split("+")[0],
            "threads": torch.get_num_threads(),
            "parameters": sum(parameter.numel() for parameter in model.parameters()),
            "sha256": {path.name: sha256_of(path) for path in files},
        },
    )


def report(step: int, loss: float) -> None:
    """Log the training loss."""
    logger.info("step %d: loss %.3f nats a token", step, loss)


if "snakemake" in globals():
    with job(snakemake):
        main(
            shape=Shape(**snakemake.params.shape),
            plan=Plan(**snakemake.params.plan),
            mixture=Mixture(**snakemake.params.mixture),
            folder=Path(snakemake.output.folder),
            settings={key: snakemake.params[key] for key in ("shape", "plan", "mixture")},
        )
