"""The report of a run: one self-contained HTML page and a model card, read from ML Metadata and the run's artifacts.

Nothing here imports TensorFlow, so a report of an old run takes seconds.
"""
