"""`python -m benchmarks.accuracy --photos PATH`: the recipes side by side, over seeds.

A frozen backbone gives a photo the same features in whichever split it is. So the pipeline extracts them once, and each
recipe then trains its head with the Trainer's own code on splits that each seed draws anew. `--fine-tune` goes on from
the reference head, as the pipeline does, with the Trainer that fine-tunes.
"""

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any, Final

import components  # noqa: F401  (chooses Keras 2 before TensorFlow is imported)

# isort: split
import click
import numpy as np
from rich.console import Console

from benchmarks.accuracy.fine_tuned import FINE_TUNED, fine_tune
from benchmarks.accuracy.heads import measure
from benchmarks.accuracy.trainings import summarize, table_of
from benchmarks.measuring.run_features import read_features, run_pipeline
from benchmarks.run import describe_machine
from components.modeling.hyperparameters import REFERENCE, STRONG, FineTuning
from pipeline.records.intervals import Interval, paired_difference
from pipeline.records.store import open_store

_RESULTS: Final = Path(__file__).parents[1] / "results" / "accuracy"


def compare(candidate: np.ndarray, reference: np.ndarray) -> Interval:
    """Returns the paired interval of what a recipe gains over the reference on the same test photos."""
    gained, lost = int(np.sum(candidate & ~reference)), int(np.sum(reference & ~candidate))
    return paired_difference(gained, lost, len(candidate))


@click.command()
@click.option("--photos", metavar="PATH", help="Your own photos, as `run` takes them; without, what --output holds.")
@click.option("--output", type=click.Path(path_type=Path), default=Path("build/benchmarks/accuracy"), show_default=True)
@click.option("--seeds", default="0,1,2", show_default=True, help="Of splits and training.")
@click.option("--fine-tune", "fine_tuned", is_flag=True, help="Compare with fine-tuning instead of the strong recipe.")
def main(*, photos: str | None, output: Path, seeds: str, fine_tuned: bool) -> None:
    """Trains by two recipes on the same splits, prints mean and spread over seeds, and writes JSON."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    run = run_pipeline(photos, output) if photos else open_store(str(output)).find_run("latest")
    features = read_features(run)
    candidate = FINE_TUNED if fine_tuned else STRONG
    outcomes, gains = [], {}
    for seed in map(int, seeds.split(",")):
        right = {}
        for recipe in (REFERENCE, candidate):
            if recipe == FINE_TUNED:
                outcome, right[recipe] = fine_tune(run, seed, features, FineTuning())
            else:
                outcome, right[recipe] = measure(recipe, seed, features)
            outcomes.append(outcome)
            console.print(f"{recipe}, seed {seed}: {outcome.test_accuracy:.4f} in {outcome.seconds:.0f} s")
        gains[seed] = dataclasses.asdict(compare(right[candidate], right[REFERENCE]))
    summary = summarize(outcomes)
    content: dict[str, Any] = {
        "photos": len(features.labels),
        "machine": describe_machine(),
        "summary": summary,
        "gain_by_seed": gains,
        "runs": [dataclasses.asdict(outcome) for outcome in outcomes],
    }
    result = _RESULTS / ("fine_tuned.json" if fine_tuned else "recipes.json")
    result.write_text(json.dumps(content, indent=2) + "\n")
    console.print(table_of(summary))


if __name__ == "__main__":
    main()
