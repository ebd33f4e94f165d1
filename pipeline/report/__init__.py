"""The run report: one self-contained HTML page and a model card, read from ML Metadata and the artifacts of a run.

Nothing here imports TensorFlow, so a report on an old run is written in seconds.
"""
