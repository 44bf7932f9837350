"""Vectors, circuits and tables for others."""
