"""Turn the raw prompt files of a study into its table of prompts, and count what was taken and dropped."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from steering_study.prompts.overlap import check_overlap, drop_blank, drop_duplicates, exclude_overlaps
from steering_study.prompts.schemas import PROMPTS
from steering_study.prompts.sources import parse_source, prompts_frame, read_prompts
from steering_study.prompts.splits import count_prompts, sample_splits
from steering_study.store.artifacts import write_json, write_table
from steering_study.store.job import job

if TYPE_CHECKING:
    snakemake: Any = None

KINDS = ("bundled", "public", "files")


def main(
    raw: Sequence[Path],
    sources: Sequence[Mapping[str, Any]],
    *,
    kind: str,
    concept: str,
    sizes: Mapping[str, int],
    test_sizes: Mapping[str, int | None],
    seed: int,
    prompts: Path,
    summary: Path,
    provenance: Mapping[str, Any],
) -> None:
    """Write the `prompts` table and its counts; `sources[i]` describes the file `raw[i]`.

    Public pools give up what the public test sets also hold; in a user's own files such an overlap is an error.

    Raises:
        ValueError: if a file, a source or a size is not what it should be.
    """
    if kind not in KINDS:
        raise ValueError(f"prompts.source is {kind!r}, expected one of {', '.join(KINDS)}")
    specs = [parse_source(source) for source in sources]
    if len(specs) != len(raw):
        raise ValueError(f"{len(raw)} raw files but {len(specs)} prompt sources; give one source a file")
    files = [read_prompts(path, spec, concept=concept) for path, spec in zip(raw, specs, strict=True)]
    read = [prompt for file in files for prompt in file]
    ids = Counter(prompt.id for prompt in read)
    if repeated := [name for name, n in ids.items() if n > 1]:
        raise ValueError(
            f"{len(repeated)} prompt ids are not unique ({repeated[0]}); rename the ids or the sources"
        )

    shown, blank = drop_blank(read)
    kept, excluded = exclude_overlaps(shown) if kind == "public" else (shown, {})
    kept, repeats = drop_duplicates(kept)
    check_overlap(kept)
    sampled = sample_splits(kept, np.random.default_rng(seed), sizes=sizes, test_sizes=test_sizes)
    check_overlap(sampled)

    counts = {
        "kind": kind,
        "counts": count_prompts(sampled),
        "rows_read": {spec.name: len(file) for spec, file in zip(specs, files, strict=True)},
        "blank_dropped": blank,
        "overlaps_excluded": excluded,
        "duplicates_dropped": repeats,
        "licences": {spec.name: spec.licence for spec in specs},
        "provenance": dict(provenance),
    }
    write_table(prompts, prompts_frame(sampled), PROMPTS, provenance=provenance)
    write_json(summary, counts)


if "snakemake" in globals():
    with job(snakemake) as provenance:
        main(
            [Path(path) for path in snakemake.input.raw],
            snakemake.params.sources,
            kind=snakemake.params.kind,
            concept=snakemake.params.concept,
            sizes=snakemake.params.sizes,
            test_sizes=snakemake.params.test_sizes,
            seed=snakemake.params.seed,
            prompts=Path(snakemake.output.prompts),
            summary=Path(snakemake.output.summary),
            provenance=provenance,
        )
