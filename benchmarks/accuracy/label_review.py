"""`python -m benchmarks.accuracy.label_review`: a share of real photos' labels is changed, and looked for."""

import json
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

from benchmarks.measuring.run_features import RunFeatures, read_features, run_pipeline
from components.contracts import TEST_SPLIT, TRAIN_SPLIT, VALIDATION_SPLIT
from components.label_reviewer import review_labels
from components.modeling.head import build_head
from components.modeling.hyperparameters import Hyperparameters
from components.modeling.training_loop import TrainingLoop

CHANGED_SHARE: Final = 0.05
FIRST_SHARE: Final = 0.03
BAR: Final = 0.8
_SEEDS: Final = (0, 1, 2)
_RESULTS: Final = Path(__file__).parents[1] / "results" / "accuracy"


def measure(features: RunFeatures, seed: int) -> dict[str, float]:
    """Changes labels, reviews them, and trains on what a review makes of them.

    Args:
        features: Whose labels count as right.
        seed: Chooses the labels that are changed.

    Returns:
        Shares in [0, 1], and seconds.
    """
    random = np.random.default_rng(seed)
    total = len(features.labels)
    changed = random.choice(total, round(CHANGED_SHARE * total), replace=False)
    labels = features.labels.copy()
    labels[changed] = (labels[changed] + random.integers(1, features.num_classes, len(changed))) % features.num_classes
    started = time.monotonic()
    review = review_labels(features.vectors, labels, features.num_classes)
    seconds = time.monotonic() - started
    listed = review.reviewed[review.doubtful]
    is_changed = np.isin(np.arange(total), changed)
    found = np.where(np.isin(np.arange(total), listed), features.labels, labels)
    everything = np.ones(total, bool)
    return {
        "precision_first": float(is_changed[listed[: round(FIRST_SHARE * total)]].mean()),
        "precision": float(is_changed[listed].mean()),
        "recall": float(is_changed[listed].sum() / len(changed)),
        "seconds": seconds,
        "accuracy_clean": _train(features, features.labels, everything, seed),
        "accuracy_changed": _train(features, labels, everything, seed),
        "accuracy_reviewed": _train(features, found, everything, seed),
        "accuracy_all_listed_excluded": _train(features, labels, ~np.isin(np.arange(total), listed), seed),
    }


def _train(features: RunFeatures, labels: np.ndarray, used: np.ndarray, seed: int) -> float:
    """Trains the classification layers with their defaults; returns the accuracy on the test split's right labels."""
    hyperparameters = Hyperparameters(seed=seed)
    head = build_head(features.vectors.shape[1], features.num_classes, hyperparameters.hidden_units, seed)
    train, validation = (
        tf.data.Dataset.from_tensor_slices((features.vectors[chosen], labels[chosen]))
        for chosen in ((features.splits == split) & used for split in (TRAIN_SPLIT, VALIDATION_SPLIT))
    )
    with tempfile.TemporaryDirectory(prefix="flowers-bench-") as work_dir:
        TrainingLoop(head, hyperparameters, work_dir).fit(
            lambda epoch: train.shuffle(len(train), 1000 * seed + epoch).batch(hyperparameters.batch_size),
            validation.batch(256),
        )
    test = features.splits == TEST_SPLIT
    return float(np.mean(np.argmax(head.predict(features.vectors[test], verbose=0), axis=1) == features.labels[test]))


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
    with tempfile.TemporaryDirectory(prefix="flowers-bench-") as folder:
        options = ("--epochs", "1", "--no-label-review")
        features = read_features(run_pipeline(str(photos), Path(folder) / "output", *options))
    measured = [measure(features, seed) for seed in _SEEDS]
    runs = {name: [run[name] for run in measured] for name in measured[0]}
    results = {"photos": len(features.labels), "changed_share": CHANGED_SHARE, "seeds": _SEEDS, "runs": runs}
    results_dir.mkdir(parents=True, exist_ok=True)
    (results_dir / "label_review.json").write_text(json.dumps(results, indent=2) + "\n")
    _print(runs, Console(highlight=False, width=None if sys.stdout.isatty() else 120))


if __name__ == "__main__":
    main()
