"""The reference recipe as a program of its own, and the backbone that stands in for its own offline."""
