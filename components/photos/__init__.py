"""Photos: found, split, checked, converted and decoded, for ingestion, validation and prediction alike."""
