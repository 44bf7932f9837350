"""Judges: did a response refuse, and is it a readable text at all?

`build_judge` gives a judge by name; `degenerate` holds the flag that stands beside every judge, `errors` says
how often one is wrong. Importing this package loads no torch: the classifiers do so when one of them is built.
"""

from steering_study.judges.registry import JUDGES, build_judge, build_judges
from steering_study.judges.verdicts import ClassifierSettings, Judge, Verdict

__all__ = ["JUDGES", "ClassifierSettings", "Judge", "Verdict", "build_judge", "build_judges"]
