"""What the page on the run consists of, beside the sections of the report: its frames and figures."""

from __future__ import annotations

RUN_TITLE = "How was it run?"
RUN_FRAMES = ("stages", "links", "rule_times", "job_times", "files")  # report/frames.py
RUN_FIGURES = {"rule_graph": "Rules, and who needs whose files", "rule_times": "Wall time of each rule"}
