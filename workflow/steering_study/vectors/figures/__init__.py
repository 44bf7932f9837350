"""Figures and tables of the section on vectors."""
