"""Pretrained image feature vectors: which there are, how each is obtained, and what a usable one looks like."""
