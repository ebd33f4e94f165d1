"""`python -m benchmarks.accuracy.label_review`: a share of real photos' labels is changed, and looked for."""

import dataclasses
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import components  # noqa: F401  (chooses Keras 2 before TensorFlow is imported)

# isort: split
import click
import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.table import Table

from benchmarks.measuring.measure import run_measured
from components.common.contracts import SPLITS, TEST_SPLIT, TRAIN_SPLIT, VALIDATION_SPLIT
from components.label_reviewer.doubtful_labels import review_labels
from components.modeling.head import build_head
from components.modeling.hyperparameters import Hyperparameters
from components.modeling.input_pipeline import FeaturePipeline
from components.modeling.training_loop import TrainingLoop

CHANGED_SHARE: Final = 0.05
FIRST_SHARE: Final = 0.03
BAR: Final = 0.8
_SEEDS: Final = (0, 1, 2)
_RESULTS: Final = Path(__file__).parents[1] / "results"


@dataclasses.dataclass(frozen=True)
class Photos:
    """Features float32 [N, D], labels int64 [N] and the split of every photo."""

    features: np.ndarray
    labels: np.ndarray
    splits: np.ndarray

    @property
    def num_classes(self) -> int:
        """C."""
        return int(self.labels.max()) + 1


def extract_features(photos: Path) -> Photos:
    """Runs the pipeline on photos and reads what FeatureExtractor wrote."""
    with tempfile.TemporaryDirectory(prefix="flowers-bench-") as temporary:
        command = [sys.executable, "local_runner.py", "run", "--photos", os.fspath(photos), "--epochs", "1"]
        command += ["--min-accuracy", "0", "--no-label-review", "--output", f"{temporary}/output"]
        run_measured(command, Path(temporary) / "run.log")
        (folder,) = Path(temporary).glob("output/pipelines/*/FeatureExtractor/features/*")
        parts = {}
        for split in SPLITS:
            files = [f"{folder}/Split-{split}/*.gz"]
            batches = list(FeaturePipeline(files, files, memory=10**10).validation_batches().as_numpy_iterator())
            parts[split] = [np.concatenate(values) for values in zip(*batches, strict=True)]
    features, labels = (np.concatenate([parts[split][at] for split in SPLITS]) for at in (0, 1))
    return Photos(features, labels, np.repeat(SPLITS, [len(parts[split][1]) for split in SPLITS]))


def measure(photos: Photos, seed: int) -> dict[str, float]:
    """Changes labels, reviews them, and trains on what a review makes of them.

    Args:
        photos: Whose labels count as right.
        seed: Chooses the labels that are changed.

    Returns:
        Shares in [0, 1], and seconds.
    """
    random = np.random.default_rng(seed)
    total = len(photos.labels)
    changed = random.choice(total, round(CHANGED_SHARE * total), replace=False)
    labels = photos.labels.copy()
    labels[changed] = (labels[changed] + random.integers(1, photos.num_classes, len(changed))) % photos.num_classes
    started = time.monotonic()
    review = review_labels(photos.features, labels, photos.num_classes)
    seconds = time.monotonic() - started
    listed = review.reviewed[review.doubtful]
    is_changed = np.isin(np.arange(total), changed)
    found = np.where(np.isin(np.arange(total), listed), photos.labels, labels)
    everything = np.ones(total, bool)
    return {
        "precision_first": float(is_changed[listed[: round(FIRST_SHARE * total)]].mean()),
        "precision": float(is_changed[listed].mean()),
        "recall": float(is_changed[listed].sum() / len(changed)),
        "seconds": seconds,
        "accuracy_clean": _train(photos, photos.labels, everything, seed),
        "accuracy_changed": _train(photos, labels, everything, seed),
        "accuracy_reviewed": _train(photos, found, everything, seed),
        "accuracy_all_listed_excluded": _train(photos, labels, ~np.isin(np.arange(total), listed), seed),
    }


def _train(photos: Photos, labels: np.ndarray, used: np.ndarray, seed: int) -> float:
    """Trains the classification layers with their defaults; returns the accuracy on the test split's right labels."""
    hyperparameters = Hyperparameters(seed=seed)
    head = build_head(photos.features.shape[1], photos.num_classes, hyperparameters.hidden_units, seed)
    train, validation = (
        tf.data.Dataset.from_tensor_slices((photos.features[chosen], labels[chosen]))
        for chosen in ((photos.splits == split) & used for split in (TRAIN_SPLIT, VALIDATION_SPLIT))
    )
    with tempfile.TemporaryDirectory(prefix="flowers-bench-") as work_dir:
        TrainingLoop(head, hyperparameters, work_dir).fit(
            lambda epoch: train.shuffle(len(train), 1000 * seed + epoch).batch(hyperparameters.batch_size),
            validation.batch(256),
        )
    test = photos.splits == TEST_SPLIT
    return float(np.mean(np.argmax(head.predict(photos.features[test], verbose=0), axis=1) == photos.labels[test]))


def _print(runs: Mapping[str, list[float]], console: Console) -> None:
    table = Table("", "mean", "standard deviation")
    for name, values in runs.items():
        table.add_row(name.replace("_", " "), f"{statistics.mean(values):.3f}", f"{statistics.stdev(values):.3f}")
    console.print(table)
    bars = {"precision_first": f"precision among the first {FIRST_SHARE:.0%} listed", "recall": "recall of the list"}
    for name, text in bars.items():
        console.print(f"{'met' if statistics.mean(runs[name]) >= BAR else 'missed'}: {text} at least {BAR}")


@click.command()
@click.option("--photos", required=True, metavar="PATH", type=click.Path(exists=True, path_type=Path))
@click.option("--results-dir", type=click.Path(path_type=Path), default=_RESULTS, help="Where the JSON goes.")
def main(photos: Path, results_dir: Path) -> None:
    """Changes 5% of the labels of real photos, lists doubtful ones, prints how many were found and writes JSON."""
    found = extract_features(photos)
    measured = [measure(found, seed) for seed in _SEEDS]
    runs = {name: [run[name] for run in measured] for name in measured[0]}
    results = {"photos": len(found.labels), "changed_share": CHANGED_SHARE, "seeds": _SEEDS, "runs": runs}
    results_dir.mkdir(parents=True, exist_ok=True)
    (results_dir / "label_review.json").write_text(json.dumps(results, indent=2) + "\n")
    _print(runs, Console(highlight=False, width=None if sys.stdout.isatty() else 120))


if __name__ == "__main__":
    main()
