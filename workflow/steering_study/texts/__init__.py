"""Prompts and steering to responses."""
