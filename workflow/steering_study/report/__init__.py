"""The report: its sections, gallery, sources, and which function shows what."""
