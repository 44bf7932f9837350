"""How well a model serves this study."""
