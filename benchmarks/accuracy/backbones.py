"""`python -m benchmarks.accuracy.backbones --photos PATH`: backbones side by side: accuracy, speed and size.

The pipeline extracts every backbone's features once; heads are then trained, or with `--fine-tune` whole classifiers,
as `benchmarks.accuracy` does it. Speed is that of the forward pass alone, and worth something on a quiet machine only:
`--speed-only` measures it again, in a minute. What is not measured stays in the results as it is.
"""

import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import components  # noqa: F401  (chooses Keras 2 before TensorFlow is imported)

# isort: split
import click
import tensorflow as tf
from rich.console import Console
from rich.table import Table

from benchmarks.accuracy.fine_tuned import FINE_TUNED, fine_tune
from benchmarks.accuracy.heads import measure
from benchmarks.accuracy.trainings import summarize
from benchmarks.measuring.machine_limits import best_seconds
from benchmarks.measuring.run_features import read_features, run_pipeline
from benchmarks.run import describe_machine
from components.feature_extractor.extractor import load_forward_pass
from components.modeling.backbones.embedded import weights_file
from components.modeling.backbones.loading import prepare_backbone
from components.modeling.backbones.registry import BACKBONES, find_backbone
from components.modeling.hyperparameters import STRONG, FineTuning, parse_size

_RESULTS: Final = Path(__file__).parents[1] / "results" / "accuracy" / "backbones.json"
_FROZEN: Final = "frozen"
_FINE_TUNED: Final = "fine_tuned"
_BATCH_SIZE: Final = 32
# Only the features are used of a run; its own head may be any.
_SHORT_RUN: Final = ("--no-label-review", "--recipe", "reference", "--epochs", "1")


@dataclasses.dataclass(frozen=True)
class Subject:
    """A backbone at an image size."""

    backbone: str
    image_size: tuple[int, int]

    @classmethod
    def parse(cls, text: str) -> "Subject":
        """Reads NAME, or NAME@HxW where it reads images of another size than its own."""
        name, _, size = text.partition("@")
        known = find_backbone(name)
        if known is None:
            raise click.UsageError(f"{name} is no backbone of the registry: {', '.join(BACKBONES)}")
        return cls(name, known.input_size(parse_size(size) if size else None))

    @property
    def size(self) -> str:
        """Its image size, as `--image-size` takes it."""
        return "x".join(map(str, self.image_size))

    def __str__(self) -> str:
        return f"{self.backbone}@{self.size}"


def default_subjects() -> str:
    """Returns the embedded backbones whose weights are installed."""
    return ",".join(name for name, known in BACKBONES.items() if known.embedded and weights_file(known))


def describe(subject: Subject) -> dict[str, Any]:
    """Returns what does not depend on photos: the size of the SavedModel and of the feature vector."""
    path, info = prepare_backbone(subject.backbone, subject.image_size)
    stored = sum(file.stat().st_size for file in Path(path).rglob("*") if file.is_file())
    return {"feature_size": info.feature_size, "megabytes": round(stored / 1e6, 1)}


def photos_per_second(subject: Subject) -> float:
    """Returns the rate of FeatureExtractor's forward pass."""
    path, _ = prepare_backbone(subject.backbone, subject.image_size)
    forward = load_forward_pass(path, subject.image_size)
    images = tf.random.stateless_uniform([_BATCH_SIZE, *subject.image_size, 3], seed=(1, 2))
    return round(_BATCH_SIZE / best_seconds(lambda: forward(images).numpy()), 1)


def accuracy(subject: Subject, photos: str, output: Path, seeds: Sequence[int], recipe: str) -> dict[str, Any]:
    """Measures trainings with one backbone.

    Args:
        subject: The backbone.
        photos: As `--photos` takes them.
        output: For the run that extracts features.
        seeds: Of splits and training.
        recipe: `STRONG`, heads on features of the frozen backbone, or `FINE_TUNED`, the default fine-tuning.

    Returns:
        Mean and spread over the seeds, and every training.
    """
    options = ("--backbone", subject.backbone, "--image-size", subject.size, *_SHORT_RUN)
    run = run_pipeline(photos, output / str(subject), *options)
    features = read_features(run)
    if recipe == FINE_TUNED:
        outcomes = [fine_tune(run, seed, features, FineTuning())[0] for seed in seeds]
    else:
        outcomes = [measure(recipe, seed, features)[0] for seed in seeds]
    return {
        "photos": len(features.labels),
        **summarize(outcomes)[recipe],
        "runs": [dataclasses.asdict(outcome) for outcome in outcomes],
    }


def _table(found: dict[str, dict[str, Any]]) -> Table:
    table = Table("backbone", "photos/s", "test accuracy, frozen", "fine-tuned", "MB")
    for name, row in found.items():
        trained, speed = [row.get(key) for key in (_FROZEN, _FINE_TUNED)], row.get("speed")
        cells = [f"{a['test_accuracy_mean']:.4f} ± {a['test_accuracy_spread']:.4f}" if a else "-" for a in trained]
        table.add_row(name, f"{speed['photos_per_second']:.0f}" if speed else "-", *cells, str(row["megabytes"]))
    return table


@click.command()
@click.option("--photos", metavar="PATH", help="Your own photos, as `run` takes them.")
@click.option("--backbones", default=default_subjects, metavar="NAME[@HxW],...", help="By default all embedded ones.")
@click.option("--speed-only", is_flag=True, help="Measure photos per second alone; takes no photos.")
@click.option("--fine-tune", "fine_tuned", is_flag=True, help="Measure fine-tuning instead of heads.")
@click.option("--output", type=click.Path(path_type=Path), default=Path("build/benchmarks/backbones"))
@click.option("--seeds", default="0,1,2", show_default=True, help="Of splits and training.")
@click.option("--result", type=click.Path(path_type=Path), default=_RESULTS, help="The JSON that is added to.")
def main(
    *, photos: str | None, backbones: str, speed_only: bool, fine_tuned: bool, output: Path, seeds: str, result: Path
) -> None:
    """Measures backbones, prints a table and adds to the JSON."""
    if bool(photos) == speed_only:
        raise click.UsageError("give --photos PATH, or --speed-only")
    key, recipe = (_FINE_TUNED, FINE_TUNED) if fine_tuned else (_FROZEN, STRONG)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    found: dict[str, dict[str, Any]] = json.loads(result.read_text()) if result.exists() else {}
    for subject in map(Subject.parse, backbones.split(",")):
        row = found.setdefault(str(subject), {})
        row.update(describe(subject))
        if photos:
            row[key] = accuracy(subject, photos, output, [int(seed) for seed in seeds.split(",")], recipe)
        else:
            machine = describe_machine()
            row["speed"] = {"photos_per_second": photos_per_second(subject), "machine": machine}
        console.print(f"{subject}: done")
        result.write_text(json.dumps(found, indent=2) + "\n")
    console.print(_table(found))


if __name__ == "__main__":
    main()
