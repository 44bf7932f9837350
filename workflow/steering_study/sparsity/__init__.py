"""Sparse vectors: what is left of steering, and which dimensions methods share."""
