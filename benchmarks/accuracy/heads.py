"""Heads of the benchmark of accuracy: features that a run has extracted, and what the recipes make of them."""

import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from benchmarks.accuracy.trainings import Outcome, judge, split_labels, write_records
from benchmarks.measuring.measure import run_measured
from components.common.contracts import FEATURE_VECTOR_KEY, LABEL_KEY
from components.common.contracts.nodes import FEATURES
from components.modeling.hyperparameters import Hyperparameters
from components.modeling.input_pipeline import FeaturePipeline, read_serialized
from components.trainer.run_fn import train_head
from pipeline.history.run import Run


def extract_features(photos: str, output: Path, log: Path, *options: str) -> None:
    """Runs the pipeline; one that has run there with the same options is answered from its cache."""
    command = [sys.executable, "local_runner.py", "run", "--photos", photos, "--output", str(output), *options]
    run_measured([*command, "--min-accuracy", "0", "--max-accuracy-drop", "1"], log)


def read_features(run: Run) -> tuple[list[bytes], np.ndarray, np.ndarray]:
    """Reads the feature examples of a run, their vectors [N, D] and their labels [N]."""
    artifact = run.artifact(FEATURES)
    if artifact is None:
        raise LookupError(f"{run.run_id} has extracted no features")
    serialized = list(read_serialized([f"{artifact.path}/Split-*/*"]).as_numpy_iterator())
    found = [tf.train.Example.FromString(record).features.feature for record in serialized]
    vectors = np.array([feature[FEATURE_VECTOR_KEY].float_list.value for feature in found], np.float32)
    return serialized, vectors, np.array([feature[LABEL_KEY].int64_list.value[0] for feature in found])


def measure(
    recipe: str,
    seed: int,
    serialized: Sequence[bytes],
    features: np.ndarray,
    labels: np.ndarray,
    *,
    training: Sequence[bytes] | None = None,
) -> tuple[Outcome, np.ndarray]:
    """Trains a head by a recipe, as the Trainer does, and tests it.

    Args:
        recipe: One of the recipes.
        seed: Of the splits and of the training.
        serialized: N feature examples.
        features: Their vectors, float32 [N, D].
        labels: Their labels, int64 [N].
        training: N feature examples to train on, of the same photos; None for `serialized`.

    Returns:
        The outcome, and which of the test photos were right.
    """
    train, validation, test = split_labels(labels, seed)
    hyperparameters = Hyperparameters(recipe=recipe, seed=seed)
    with tempfile.TemporaryDirectory(prefix="flowers-accuracy-") as work_dir:
        files = [
            write_records([records[i] for i in part], f"{work_dir}/{len(part)}.gz")
            for records, part in ((training or serialized, train), (serialized, validation))
        ]
        pipeline = FeaturePipeline([files[0]], [files[1]], 10**9)
        started = time.monotonic()
        head = train_head(pipeline, hyperparameters, int(labels.max()) + 1, work_dir)
        seconds = time.monotonic() - started
    logits = head(features[test], training=False).numpy()
    return judge(recipe, seed, logits, labels[test], seconds)
