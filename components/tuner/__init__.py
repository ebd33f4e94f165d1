"""Tuner: searches the classification layers' hyperparameters, and keeps what it found in ML Metadata."""
