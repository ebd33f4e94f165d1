"""Photos through a pushed model."""
