"""Evaluator: TFMA's metrics as plain JSON, per-photo predictions, and the check of the served model."""
