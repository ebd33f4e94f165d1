"""AnomalyGate: no training on data that does not meet its schema."""
