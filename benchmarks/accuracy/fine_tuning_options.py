"""`python -m benchmarks.accuracy.fine_tuning_options --photos PATH`: what options of fine-tuning bring that are off.

Fine-tunes as `benchmarks.accuracy --fine-tune` does, with one option other than its default; `default` is that again.
On small images, where a training takes a third of the time. What is not measured stays in the results as it is.
"""

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any, Final

import components  # noqa: F401  (chooses Keras 2 before TensorFlow is imported)

# isort: split
import click
from rich.console import Console

from benchmarks.accuracy.fine_tuned import FINE_TUNED, fine_tune
from benchmarks.accuracy.trainings import summarize, table_of
from benchmarks.measuring.run_features import read_features, run_pipeline
from benchmarks.run import describe_machine
from components.modeling.hyperparameters import FineTuning

_RESULT: Final = Path(__file__).parents[1] / "results" / "accuracy" / "fine_tuning_options.json"
VARIANTS: Final = {
    "default": FineTuning(),
    "mixup": FineTuning(mixup=0.2),
    "ema": FineTuning(ema_momentum=0.95),
    "all-layers": FineTuning(layers=0),
}


@click.command()
@click.option("--photos", required=True, metavar="PATH", help="Your own photos, as `run` takes them.")
@click.option("--variants", default=",".join(VARIANTS), show_default=True, help="Which of these.")
@click.option("--image-size", default="128x128", show_default=True, help="Of what is served.")
@click.option("--output", type=click.Path(path_type=Path), default=Path("build/benchmarks/small"), show_default=True)
@click.option("--seeds", default="0,1,2", show_default=True, help="Of splits and training.")
@click.option("--result", type=click.Path(path_type=Path), default=_RESULT, help="The JSON that is added to.")
def main(*, photos: str, variants: str, image_size: str, output: Path, seeds: str, result: Path) -> None:
    """Fine-tunes by each variant on the same splits, prints mean and spread over seeds, and adds to the JSON."""
    chosen = variants.split(",")
    if unknown := sorted(set(chosen) - set(VARIANTS)):
        raise click.UsageError(f"{', '.join(unknown)} is none of the variants: {', '.join(VARIANTS)}")
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    run = run_pipeline(photos, output, "--image-size", image_size)
    features = read_features(run)
    found: dict[str, dict[str, Any]] = json.loads(result.read_text()) if result.exists() else {}
    for variant in chosen:
        outcomes = []
        for seed in map(int, seeds.split(",")):
            outcomes.append(fine_tune(run, seed, features, VARIANTS[variant])[0])
            console.print(f"{variant}, seed {seed}: {outcomes[-1].test_accuracy:.4f} in {outcomes[-1].seconds:.0f} s")
        found[variant] = {
            "photos": len(features.labels),
            "image_size": image_size,
            "machine": describe_machine(),
            "fine_tuning": VARIANTS[variant].to_dict(),
            **summarize(outcomes)[FINE_TUNED],
            "runs": [dataclasses.asdict(outcome) for outcome in outcomes],
        }
        result.write_text(json.dumps(found, indent=2) + "\n")
    console.print(table_of(found))


if __name__ == "__main__":
    main()
