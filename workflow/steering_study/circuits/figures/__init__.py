"""Figures and tables of the section on circuits."""
