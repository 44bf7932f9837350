"""A chat model: its card, weights, chat template, forward passes, decoding and memory. Knows nothing of experiments."""
