"""What happened, why, and where it came from: the one reader of runs, without TensorFlow."""
