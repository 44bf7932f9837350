"""Figures and tables of the section on sparsity."""
