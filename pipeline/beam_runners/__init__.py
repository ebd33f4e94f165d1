"""Beam's runners: their options, their requirements, and worker processes for Flink."""
