"""FeatureExtractor: every photo through the frozen backbone, once."""
