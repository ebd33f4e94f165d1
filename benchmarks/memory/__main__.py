"""Peak memory of the Trainer against the size of its features: `python -m benchmarks.memory --features-gb 4`.

Only the component runs, on feature examples that are generated into a temporary folder. What TensorFlow, the export and
TensorBoard's files take is in every line; the first one, hardly any features, shows how much that is.
"""

import dataclasses
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import click

from benchmarks.measuring.measure import run_measured
from benchmarks.run import describe_machine

_RESULT: Final = Path(__file__).parents[1] / "results" / "scale" / "memory.json"
_FEATURE_SIZE: Final = 1280
_NEXT_TO_NOTHING_GB: Final = 0.01
_EPOCHS: Final = 2
_BATCH_SIZE: Final = 256


@click.command()
@click.option("--features-gb", type=float, multiple=True, default=[1.0], show_default=True, help="Repeatable.")
@click.option("--budget-gb", type=float, default=0.25, show_default=True, help="As --feature-memory.")
@click.option("--result", type=click.Path(path_type=Path), default=_RESULT, help="Where the JSON goes.")
@click.option("--train", "trained", hidden=True, help="Train on this folder, in this process.")
def main(features_gb: tuple[float, ...], budget_gb: float, result: Path, trained: str | None) -> None:
    """Trains on features of several sizes, prints what each took, and writes JSON."""
    if trained:
        from benchmarks.memory.generated_features import train

        train(Path(trained), round(budget_gb * 1e9), _EPOCHS, _BATCH_SIZE)
        return
    rows = []
    for size in sorted({_NEXT_TO_NOTHING_GB, *features_gb}):
        rows.append(_measure(size, budget_gb))
        click.echo(", ".join(f"{name} {value}" for name, value in rows[-1].items()))
    setting = {"feature_size": _FEATURE_SIZE, "epochs": _EPOCHS, "batch_size": _BATCH_SIZE}
    command = " ".join(["python -m benchmarks.memory", *sys.argv[1:]])
    found = {"command": command, "machine": describe_machine(), **setting, "results": rows}
    result.parent.mkdir(parents=True, exist_ok=True)
    result.write_text(json.dumps(found, indent=2) + "\n")
    click.echo(f"Written: {result}")


def _measure(features_gb: float, budget_gb: float) -> dict[str, Any]:
    """Generates features, trains on them in a process of its own, and removes both."""
    from benchmarks.memory.generated_features import generate

    train_examples = max(1, round(features_gb * 1e9 / (4 * _FEATURE_SIZE)))
    folder = Path(tempfile.mkdtemp(prefix="flowers-memory-"))
    try:
        if shutil.disk_usage(folder).free < 2e9 * features_gb:
            raise click.ClickException(f"{features_gb} GB of features need twice that in {folder.parent}: free some")
        generate(folder, train_examples, _FEATURE_SIZE)
        command = [sys.executable, "-m", "benchmarks.memory", "--train", str(folder), "--budget-gb", str(budget_gb)]
        measurement = run_measured(command, folder / "log")
        losses = [epoch["loss"] for epoch in json.loads((folder / "run" / "history.json").read_text())]
    finally:
        shutil.rmtree(folder)
    return {
        "features_gb": features_gb,
        "budget_gb": budget_gb,
        "train_examples": train_examples,
        **dataclasses.asdict(measurement),
        "losses": [round(loss, 4) for loss in losses],
    }


if __name__ == "__main__":
    main()
