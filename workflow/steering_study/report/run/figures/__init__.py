"""Figures and tables of the page on the run."""
