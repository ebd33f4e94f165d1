"""Prediction with a pushed model."""
