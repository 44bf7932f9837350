"""Raw files to prompts in splits without overlap."""
