"""A run of the pipeline on photos, and the features that it has extracted: what benchmarks of heads begin with."""

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from benchmarks.measuring.measure import run_measured
from components.contracts import FEATURE_VECTOR_KEY, ID_KEY, LABEL_KEY, SPLITS
from components.contracts.nodes import FEATURES, VALID_EXAMPLES
from components.modeling.input_pipeline import read_serialized
from pipeline.records.store import Run, open_store


@dataclasses.dataclass(frozen=True)
class RunFeatures:
    """Features of all photos of a run, split by split.

    Attributes:
        serialized: N feature examples.
        vectors: float32 [N, D].
        labels: int64 [N].
        splits: Names of their splits, [N].
    """

    serialized: Sequence[bytes]
    vectors: np.ndarray
    labels: np.ndarray
    splits: np.ndarray

    @property
    def num_classes(self) -> int:
        """C."""
        return int(self.labels.max()) + 1


def run_pipeline(photos: str, output: Path, *options: str) -> Run:
    """Runs the pipeline to a pushed model, and logs next to the output.

    Args:
        photos: As `--photos` takes them.
        output: A run that was there with the same options is answered from its cache.
        options: More of the command line's.

    Returns:
        The run.
    """
    command = [sys.executable, "local_runner.py", "run", "--photos", photos, "--output", str(output), *options]
    run_measured([*command, "--min-accuracy", "0", "--max-accuracy-drop", "1"], output.with_suffix(".log"))
    return open_store(str(output)).find_run("latest")


def read_features(run: Run) -> RunFeatures:
    """Reads what FeatureExtractor wrote; raises LookupError where it wrote nothing."""
    folder = run.folder(FEATURES)
    if folder is None:
        raise LookupError(f"{run.run_id} has extracted no features")
    by_split = {
        split: list(read_serialized([f"{folder}/Split-{split}/*"]).as_numpy_iterator())
        # The order of their folders: which photos a seed deals to which split follows from it.
        for split in sorted(SPLITS)
    }
    serialized = [record for records in by_split.values() for record in records]
    found = [tf.train.Example.FromString(record).features.feature for record in serialized]
    return RunFeatures(
        serialized,
        np.array([feature[FEATURE_VECTOR_KEY].float_list.value for feature in found], np.float32),
        np.array([feature[LABEL_KEY].int64_list.value[0] for feature in found]),
        np.repeat(list(by_split), [len(records) for records in by_split.values()]),
    )


def read_photos(run: Run) -> dict[bytes, bytes]:
    """Reads the raw examples of a run's photos, by their id."""
    records = read_serialized([f"{run.folder(VALID_EXAMPLES)}/Split-*/*"])
    return {example_id(record): record for record in records.as_numpy_iterator()}


def example_id(record: bytes) -> bytes:
    """Returns the id of a serialized example."""
    return bytes(tf.train.Example.FromString(record).features.feature[ID_KEY].bytes_list.value[0])
