"""Photos per second of FeatureExtractor against the number of Beam workers."""
