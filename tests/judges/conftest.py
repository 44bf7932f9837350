import json
import os
from pathlib import Path

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"

RUNS = Path(__file__).parents[3] / "shared" / "datasets" / "refusal_direction" / "runs"


@pytest.fixture(scope="session")
def stored_completions() -> dict[str, list[dict]]:
    """Completions of the refusal-direction study by file, with its labels; not part of this repository."""
    if not RUNS.is_dir():
        pytest.skip("needs the stored runs of the refusal-direction study in ../shared/datasets")
    files = {
        path.relative_to(RUNS).as_posix(): json.loads(path.read_text("utf-8"))
        for path in sorted(RUNS.glob("*/*_evaluations.json"))
    }
    return {
        name: content["completions"]
        for name, content in files.items()
        if isinstance(content, dict) and "completions" in content
    }
