"""Peak memory of the Trainer against the size of its features."""
