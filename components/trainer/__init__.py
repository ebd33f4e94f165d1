"""Trainer: the `run_fn` that trains the classification layers, and the one that fine-tunes."""
