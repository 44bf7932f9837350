"""Edges that carry steering: scores, rankings, circuits, faithfulness, exact interchange, text."""
