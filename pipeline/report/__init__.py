"""The report of a run: one self-contained HTML page and a model card, made without TensorFlow, in seconds."""
