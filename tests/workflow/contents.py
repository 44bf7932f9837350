"""What tables and tensors of a study hold, as digests: whether a change of the code has changed a number.

    python -m tests.workflow.contents before/results after/results [--moved old=new ...]

Digests are of values, names, types and shapes; bytes of files differ wherever a rule or its code has another name. A file that lies
elsewhere now is given as `--moved`, its path before and after, where {} stands for any part of it.
"""

from __future__ import annotations

import argparse
import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
from safetensors import safe_open


def digest_of(path: Path) -> str:
    """Digest of what a table or a file of tensors holds."""
    digest = hashlib.sha256()
    if path.suffix == ".parquet":
        table = pq.read_table(path)
        digest.update(str([(field.name, str(field.type)) for field in table.schema]).encode())
        frame = table.to_pandas()
        for column in frame:
            values = frame[column].map(repr) if frame[column].dtype == object else frame[column]
            digest.update(pd.util.hash_pandas_object(values, index=False).to_numpy().tobytes())
        return digest.hexdigest()
    with safe_open(path, "np") as tensors:
        for name in sorted(tensors.keys()):
            array = tensors.get_tensor(name)
            digest.update(f"{name} {array.dtype} {array.shape} ".encode() + array.tobytes())
    return digest.hexdigest()


def contents(results: Path) -> dict[str, str]:
    """Digests of all tables and tensors of a study by their paths; the folder for others repeats them and is left out."""
    files = [path for path in sorted(results.rglob("*")) if path.suffix in (".parquet", ".safetensors")]
    return {
        path.relative_to(results).as_posix(): digest_of(path)
        for path in files
        if "export" not in path.relative_to(results).parts
    }


def moved(path: str, moves: Iterable[str]) -> str:
    """Where a file lies after the moves."""
    for move in moves:
        before, after = move.split("=")
        found = re.fullmatch(re.escape(before).replace(r"\{\}", "(.*)"), path)
        if found:
            return after.format(*found.groups())
    return path


def main() -> int:
    """Compare two folders of results; 1 if they differ."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--moved", nargs="*", default=())
    given = parser.parse_args()
    before = {moved(path, given.moved): digest for path, digest in contents(given.before).items()}
    after = contents(given.after)
    gone, new = sorted(before.keys() - after.keys()), sorted(after.keys() - before.keys())
    differ = [path for path in sorted(before.keys() & after.keys()) if before[path] != after[path]]
    print(f"{len(before)} tables and files of tensors before, {len(after)} after; {len(differ)} differ")
    for word, paths in (("gone", gone), ("new", new), ("differs", differ)):
        for path in paths:
            print(f"{word:8} {path}")
    whole = hashlib.sha256("".join(f"{path} {after[path]}\n" for path in sorted(after)).encode()).hexdigest()
    print(f"digest of all {whole[:16]}")
    return int(bool(gone or new or differ))


if __name__ == "__main__":
    raise SystemExit(main())
