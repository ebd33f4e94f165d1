"""What is wired: configuration, the pipeline's graph, its evaluation rules, and the commands built on it."""

import components  # noqa: F401  (sets the TensorFlow environment before any module here imports it)
