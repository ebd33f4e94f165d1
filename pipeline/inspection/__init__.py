"""What happened, why, and where it came from: ML Metadata's records turned into answers, without TensorFlow."""
