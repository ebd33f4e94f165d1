"""`python -m benchmarks.familiarity --photos PATH`: does a model know what it was not trained for?"""

import importlib.metadata
import json
import statistics
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import components  # noqa: F401  (chooses Keras 2 before TensorFlow is imported)

# isort: split
import click
import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.table import Table
from tfx.utils import path_utils

from benchmarks.familiarity.candidates import CANDIDATES, Score
from benchmarks.familiarity.serving_time import measure_serving
from benchmarks.familiarity.strange_photos import all_groups, areas
from benchmarks.measuring.run_features import read_features, run_pipeline
from benchmarks.run import describe_machine
from components.contracts import BACKBONE_DIGEST_PROPERTY, ID_KEY, IMAGE_KEY, LABEL_KEY, TEST_SPLIT
from components.contracts.familiarity import UNFAMILIAR_BELOW
from components.contracts.nodes import BACKBONE, TRANSFORM, Output
from components.feature_extractor.extractor import ExtractionConfig, Extractor
from components.modeling.familiarity import Familiarity, fit_familiarity
from pipeline.records.store import Run

BAR: Final = 0.95
SERVED: Final = "served"
TOGETHER: Final = "together"
_SEEDS: Final = (0, 1, 2)
_RESULT: Final = Path(__file__).parents[1] / "results" / "familiarity.json"
_BATCH: Final = 32
_GRAPH: Final = Output(TRANSFORM, "transform_graph")


def extract(run: Run, pictures: Sequence[bytes]) -> np.ndarray:
    """Returns the features of pictures as FeatureExtractor makes them, float32 [N, D]."""
    backbone = run.artifact(BACKBONE)
    digest = str(backbone.properties[BACKBONE_DIGEST_PROPERTY]) if backbone else ""
    path = path_utils.serving_model_path(str(run.folder(BACKBONE)))
    extractor = Extractor(ExtractionConfig(path, digest, str(run.folder(_GRAPH)), len(pictures), "benchmark"))
    examples = [_raw_example(picture) for picture in pictures]
    batches = [(TEST_SPLIT, examples[start : start + _BATCH]) for start in range(0, len(examples), _BATCH)]
    return np.concatenate([features for _, features in extractor.extract(batches)])


def _raw_example(picture: bytes) -> bytes:
    example = tf.train.Example()
    example.features.feature[IMAGE_KEY].bytes_list.value.append(picture)
    example.features.feature[LABEL_KEY].int64_list.value.append(0)
    example.features.feature[ID_KEY].bytes_list.value.append(b"strange")
    return example.SerializeToString()


def measure(
    seed: int, features: np.ndarray, labels: np.ndarray, strange: dict[str, np.ndarray]
) -> dict[str, dict[str, dict[str, float]]]:
    """Fits every way of telling on half of the photos, calibrates it on a quarter, and tries it on the rest.

    Args:
        seed: Deals the photos.
        features: float32 [N, D].
        labels: int64 [N].
        strange: Features of pictures that are none of them, by group.

    Returns:
        By way and group, and for all groups `TOGETHER`: area under the ROC curve, and the share that is marked as
        unfamiliar ("test" has only that).
    """
    order = np.random.default_rng(seed).permutation(len(labels))
    train, validation, test = np.split(order, [len(order) // 2, 3 * len(order) // 4])
    familiarity = fit_familiarity(features[train], [features[validation]])
    scores: dict[str, Score] = {SERVED: lambda asked: familiarity(tf.constant(asked)).numpy()}
    for prefix, represent in (("roots", _roots), ("features", _directions)):
        for name, fit in CANDIDATES.items():
            scores[f"{name} of {prefix}"] = _after(represent, fit(represent(features[train]), labels[train]))
    found: dict[str, dict[str, dict[str, float]]] = {}
    for name, score in scores.items():
        bound = UNFAMILIAR_BELOW if name == SERVED else np.quantile(score(features[validation]), UNFAMILIAR_BELOW)
        familiar, others = score(features[test]), {group: score(asked) for group, asked in strange.items()}
        others[TOGETHER] = np.concatenate(list(others.values()))
        found[name] = {"test": {"unfamiliar": float(np.mean(familiar < bound))}}
        for (group, values), area in zip(others.items(), areas(familiar, list(others.values())), strict=True):
            found[name][group] = {"auroc": area, "unfamiliar": float(np.mean(values < bound))}
    return found


def _after(represent: Callable[[np.ndarray], np.ndarray], score: Score) -> Score:
    return lambda asked: score(represent(asked))


def _roots(features: np.ndarray) -> np.ndarray:
    return np.asarray(Familiarity.directions(tf.constant(features)))


def _directions(features: np.ndarray) -> np.ndarray:
    return features / np.linalg.norm(features, axis=1, keepdims=True)


def summarize(runs: Sequence[dict[str, dict[str, dict[str, float]]]]) -> dict[str, dict[str, dict[str, float]]]:
    """Returns mean and standard deviation over seeds in place of each figure."""
    summary: dict[str, dict[str, dict[str, float]]] = {}
    for name, groups in runs[0].items():
        summary[name] = {}
        for group, figures in groups.items():
            summary[name][group] = {}
            for figure in figures:
                values = [run[name][group][figure] for run in runs]
                summary[name][group][f"{figure}_mean"] = round(statistics.fmean(values), 4)
                summary[name][group][f"{figure}_spread"] = round(statistics.stdev(values), 4)
    return summary


def _print(summary: dict[str, dict[str, dict[str, float]]], console: Console) -> None:
    groups = [group for group in summary[SERVED] if group != "test"]
    table = Table("AUROC, mean ± standard deviation", *(group.replace("_", " ") for group in groups))
    for name, found in summary.items():
        table.add_row(name, *(f"{found[g]['auroc_mean']:.3f} ± {found[g]['auroc_spread']:.3f}" for g in groups))
    console.print(table)
    for group in groups:
        area = summary[SERVED][group]["auroc_mean"]
        console.print(f"{'met' if area >= BAR else 'missed'}: {group}: AUROC {area:.3f}, at least {BAR}")


@click.command()
@click.option("--photos", required=True, metavar="PATH", type=click.Path(exists=True, path_type=Path))
@click.option("--output", type=click.Path(path_type=Path), default=Path("build/benchmarks/familiarity"))
@click.option("--result", type=click.Path(path_type=Path), default=_RESULT, help="Where the JSON goes.")
def main(photos: Path, output: Path, result: Path) -> None:
    """Tells photos from pictures that are none of them, prints AUROC over seeds and serving times, and writes JSON."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    groups = all_groups(seed=0)
    run = run_pipeline(str(photos), output)
    found = read_features(run)
    features, labels = found.vectors, found.labels
    strange = {group: extract(run, pictures) for group, pictures in groups.items()}
    runs = [measure(seed, features, labels, strange) for seed in _SEEDS]
    summary = summarize(runs)
    _print(summary, console)
    times = measure_serving(str(run.pushed_path), str(run.folder(_GRAPH)))
    console.print(f"Serving, ms per request: {times}")
    content: dict[str, Any] = {
        "photos": len(labels),
        "pictures": {group: len(pictures) for group, pictures in groups.items()},
        "versions": {name: importlib.metadata.version(name) for name in ("scikit-image", "scipy")},
        "machine": describe_machine(),
        "serving": times,
        "summary": summary,
        "seeds": dict(zip(map(str, _SEEDS), runs, strict=True)),
    }
    result.write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    main()
