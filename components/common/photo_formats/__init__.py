"""Formats of photos besides those that TensorFlow decodes."""
