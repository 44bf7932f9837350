"""What the page on the run consists of, beside the sections of the report: its frames and figures."""

from __future__ import annotations

RUN_TITLE = "How was it run?"
RUN_FIGURES = {"rule_graph": "Rules, and who needs whose files", "rule_times": "Wall time of each rule"}
FRAMES = {
    "stages": {  # nodes of the graph of rules
        "stage": "int64",
        "rule": "string",
        "part": "string",  # file of rules
        "detail": "string",  # what tells it from other stages of the rule
        "jobs": "int64",
    },
    "links": {"source": "int64", "target": "int64"},
    "job_times": {
        "rule": "string",
        "part": "string",
        "wildcards": "string",
        "seconds": "float64",  # wall time; NaN: not measured
        "cpu_seconds": "float64",
        "max_rss_mib": "float64",
    },
    "rule_times": {
        "rule": "string",
        "part": "string",
        "jobs": "int64",
        "measured": "int64",  # jobs with a benchmark file
        "total_seconds": "float64",
        "mean_seconds": "float64",
        "longest_seconds": "float64",
        "cpu_seconds": "float64",
        "max_rss_mib": "float64",
    },
    "files": {
        "path": "string",
        "rule": "string",
        "known_from": "string",  # file: it says so itself; plan: its format cannot; missing: it could
        "code": "string",  # digest of the code that made it
        "seed": "string",
        "revision": "string",  # of the model
        "inputs": "int64",  # that it names with their sha256
        "changed": "int64",  # of those, which are other files by now
        "count": "int64",  # rows or tensors; -1: neither
        "unit": "string",
        "bytes": "int64",
        "sha256": "string",
    },
}  # its tidy frames: the type of each column, in Arrow's words
