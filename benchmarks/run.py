"""Measure every benchmark and write results/benchmarks.json."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from attribution import benchmark_attribution
from decode import benchmark_decode
from freezing import benchmark_freezing
from scaling import benchmark_scaling
from search import benchmark_search
from sparsity import benchmark_sparsity
from study import benchmark_study


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="resources/models/pocket-llama", help="local folder or hub id")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument(
        "--hooked", type=Path, required=True, help="folder with TransformerLens 3.9, as `make bench` fills it"
    )
    parser.add_argument("--out", type=Path, default=Path("results/benchmarks.json"))
    arguments = parser.parse_args()
    rows = [
        *benchmark_decode(arguments.model, repeats=arguments.repeats),
        *benchmark_freezing(arguments.model, repeats=arguments.repeats),
        *benchmark_search(arguments.model, repeats=max(1, arguments.repeats // 2)),
        *benchmark_attribution(arguments.model, repeats=arguments.repeats, hooked=arguments.hooked),
        *benchmark_sparsity(arguments.model, repeats=max(1, arguments.repeats // 2)),
        *benchmark_scaling(arguments.model, repeats=max(1, arguments.repeats // 2)),
        *benchmark_study(Path("logs/benchmarks")),
    ]
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")
    for row in rows:
        ratio = "" if row["ratio"] is None else f", ratio {row['ratio']:.2f}"
        print(f"{row['name']}: {row['ours']:.3g} {row['unit']}{ratio} ({row['setting']})")


if __name__ == "__main__":
    main()
