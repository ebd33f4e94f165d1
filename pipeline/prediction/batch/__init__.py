"""Batch prediction with a pushed model on Beam."""
