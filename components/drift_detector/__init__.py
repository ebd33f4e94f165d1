"""DriftDetector: whether the photos have moved since the latest blessed model."""
