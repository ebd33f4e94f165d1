"""Heads of the benchmark of accuracy: what the recipes make of the features that a run has extracted."""

import tempfile
import time
from collections.abc import Sequence

import numpy as np

from benchmarks.accuracy.trainings import Outcome, judge, split_labels, write_records
from benchmarks.measuring.run_features import RunFeatures
from components.modeling.hyperparameters import Hyperparameters
from components.modeling.input_pipeline import FeaturePipeline
from components.trainer.run_fn import train_head


def measure(
    recipe: str,
    seed: int,
    features: RunFeatures,
    *,
    training: Sequence[bytes] | None = None,
) -> tuple[Outcome, np.ndarray]:
    """Trains a head by a recipe, as the Trainer does, and tests it.

    Args:
        recipe: One of the recipes.
        seed: Of the splits and of the training.
        features: Of N photos.
        training: N feature examples to train on, of the same photos; None for those of `features`.

    Returns:
        The outcome, and which of the test photos were right.
    """
    train, validation, test = split_labels(features.labels, seed)
    hyperparameters = Hyperparameters(recipe=recipe, seed=seed)
    with tempfile.TemporaryDirectory(prefix="flowers-accuracy-") as work_dir:
        files = [
            write_records([records[i] for i in part], f"{work_dir}/{len(part)}.gz")
            for records, part in ((training or features.serialized, train), (features.serialized, validation))
        ]
        pipeline = FeaturePipeline([files[0]], [files[1]], 10**9)
        started = time.monotonic()
        head = train_head(pipeline, hyperparameters, features.num_classes, work_dir)
        seconds = time.monotonic() - started
    logits = head(features.vectors[test], training=False).numpy()
    return judge(recipe, seed, logits, features.labels[test], seconds)
