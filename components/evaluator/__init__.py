"""Evaluator: TFMA's metrics, kept readable without TFMA, and the proof that serving gives the same answers."""
