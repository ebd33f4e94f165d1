"""A user's own photos, wherever they are: found, split, and read as examples."""
