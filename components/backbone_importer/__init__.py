"""Brings a pretrained backbone into the pipeline as a Model artifact."""
