"""Helpers that several components share; no component of its own."""
