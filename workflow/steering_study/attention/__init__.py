"""Frozen attention, cleared values and MLPs, and what heads and neurons write."""
