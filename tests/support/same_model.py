"""What must be the same of two runs that trained on the same photos."""

import dataclasses
from pathlib import Path
from typing import Any

from pipeline.records.store import Run


def metrics_of(run: Run) -> dict[str, float]:
    """Returns a run's metrics on both splits, also per class, by a name for each."""
    found = {}
    for split in ("validation", "test"):
        metrics = run.metrics(split)
        assert metrics
        found |= {f"{split} accuracy": metrics.accuracy, f"{split} loss": metrics.loss}
        for entry in metrics.classes:
            values = dataclasses.asdict(entry)
            name = values.pop("name")
            found |= {f"{split} {name} {metric}": value for metric, value in values.items()}
    return found


def probabilities_of(model_path: Path) -> Any:
    """Returns what a pushed model says of three pictures."""
    import numpy as np
    import tensorflow as tf

    pictures = [np.full((20, 30, 3), color, np.uint8) for color in ((40, 60, 200), (40, 190, 60), (200, 40, 50))]
    jpegs = tf.stack([tf.io.encode_jpeg(picture) for picture in pictures])
    model = tf.saved_model.load(str(model_path))
    return model.signatures["serving_default"](image_bytes=jpegs)["probabilities"].numpy()
