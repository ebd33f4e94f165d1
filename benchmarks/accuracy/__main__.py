"""`python -m benchmarks.accuracy --photos PATH`: the recipes side by side, over seeds.

A frozen backbone gives a photo the same features in whichever split it is. So the pipeline extracts them once, and each
recipe then trains its head with the Trainer's own code on splits that each seed draws anew. `--fine-tune` goes on from
the reference head, as the pipeline does, with the Trainer that fine-tunes.
"""

import dataclasses
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import components  # noqa: F401  (chooses Keras 2 before TensorFlow is imported)

# isort: split
import click
import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.table import Table

from benchmarks.accuracy.fine_tuned import FINE_TUNED, fine_tune
from benchmarks.accuracy.trainings import Outcome, judge, split_labels, write_records
from benchmarks.measuring.measure import run_measured
from benchmarks.run import describe_machine
from components.common.contracts import FEATURE_VECTOR_KEY, LABEL_KEY
from components.common.contracts.nodes import FEATURES
from components.modeling.hyperparameters import REFERENCE, STRONG, FineTuning, Hyperparameters
from components.modeling.input_pipeline import FeaturePipeline, read_serialized
from components.trainer.run_fn import train_head
from pipeline.history.intervals import Interval, paired_difference
from pipeline.history.run import Run
from pipeline.history.store import open_store

_RESULTS: Final = Path(__file__).parents[1] / "results"
_METRICS: Final = ("test_accuracy", "calibration_error", "cross_entropy", "seconds")


def measure(
    recipe: str, seed: int, serialized: Sequence[bytes], features: np.ndarray, labels: np.ndarray
) -> tuple[Outcome, np.ndarray]:
    """Trains a head by a recipe, as the Trainer does, and tests it.

    Args:
        recipe: One of the recipes.
        seed: Of the splits and of the training.
        serialized: N feature examples.
        features: Their vectors, float32 [N, D].
        labels: Their labels, int64 [N].

    Returns:
        The outcome, and which of the test photos were right.
    """
    train, validation, test = split_labels(labels, seed)
    hyperparameters = Hyperparameters(recipe=recipe, seed=seed)
    with tempfile.TemporaryDirectory(prefix="flowers-accuracy-") as work_dir:
        files = [
            write_records([serialized[i] for i in part], f"{work_dir}/{len(part)}.gz") for part in (train, validation)
        ]
        pipeline = FeaturePipeline([files[0]], [files[1]], 10**9)
        started = time.monotonic()
        head = train_head(pipeline, hyperparameters, int(labels.max()) + 1, work_dir)
        seconds = time.monotonic() - started
    logits = head(features[test], training=False).numpy()
    return judge(recipe, seed, logits, labels[test], seconds)


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


def summarize(outcomes: Sequence[Outcome]) -> dict[str, dict[str, float]]:
    """Returns mean and standard deviation over the seeds, by recipe."""
    summary: dict[str, dict[str, float]] = {}
    for recipe in dict.fromkeys(outcome.recipe for outcome in outcomes):
        summary[recipe] = {}
        for name in _METRICS:
            values = [getattr(outcome, name) for outcome in outcomes if outcome.recipe == recipe]
            summary[recipe][f"{name}_mean"] = round(statistics.fmean(values), 4)
            summary[recipe][f"{name}_spread"] = round(statistics.stdev(values), 4) if len(values) > 1 else 0.0
    return summary


def compare(candidate: np.ndarray, reference: np.ndarray) -> Interval:
    """Returns the paired interval of what a recipe gains over the reference on the same test photos."""
    gained, lost = int(np.sum(candidate & ~reference)), int(np.sum(reference & ~candidate))
    return paired_difference(gained, lost, len(candidate))


def _table(summary: dict[str, dict[str, float]]) -> Table:
    table = Table("mean ± standard deviation", *(name.replace("_", " ") for name in _METRICS))
    for recipe, row in summary.items():
        table.add_row(recipe, *(f"{row[f'{name}_mean']:.4f} ± {row[f'{name}_spread']:.4f}" for name in _METRICS))
    return table


@click.command()
@click.option("--photos", metavar="PATH", help="Your own photos, as `run` takes them; without, what --output holds.")
@click.option("--output", type=click.Path(path_type=Path), default=Path("build/benchmarks/accuracy"), show_default=True)
@click.option("--seeds", default="0,1,2", show_default=True, help="Of splits and training.")
@click.option("--fine-tune", "fine_tuned", is_flag=True, help="Compare with fine-tuning instead of the strong recipe.")
def main(*, photos: str | None, output: Path, seeds: str, fine_tuned: bool) -> None:
    """Trains by two recipes on the same splits, prints mean and spread over seeds, and writes JSON."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    if photos:
        extract_features(photos, output, output.with_suffix(".log"))
    run = open_store(str(output)).find_run("latest")
    examples = read_features(run)
    candidate = FINE_TUNED if fine_tuned else STRONG
    outcomes, gains = [], {}
    for seed in map(int, seeds.split(",")):
        right = {}
        for recipe in (REFERENCE, candidate):
            if recipe == FINE_TUNED:
                outcome, right[recipe] = fine_tune(run, seed, examples[0], examples[2], FineTuning())
            else:
                outcome, right[recipe] = measure(recipe, seed, *examples)
            outcomes.append(outcome)
            console.print(f"{recipe}, seed {seed}: {outcome.test_accuracy:.4f} in {outcome.seconds:.0f} s")
        gains[seed] = dataclasses.asdict(compare(right[candidate], right[REFERENCE]))
    summary = summarize(outcomes)
    content: dict[str, Any] = {
        "photos": len(examples[0]),
        "machine": describe_machine(),
        "summary": summary,
        "gain_by_seed": gains,
        "runs": [dataclasses.asdict(outcome) for outcome in outcomes],
    }
    result = _RESULTS / ("accuracy_fine_tuned.json" if fine_tuned else "accuracy.json")
    result.write_text(json.dumps(content, indent=2) + "\n")
    console.print(_table(summary))


if __name__ == "__main__":
    main()
