"""`make bench`: the reference recipe and the pipeline side by side, on the same photos and the same backbone."""

import dataclasses
import importlib.metadata
import json
import os
import platform
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import click
from rich.console import Console

from benchmarks.measuring.measure import run_measured
from benchmarks.measuring.subjects import Subject, output_folder, run_pipeline, run_recipe
from benchmarks.recipe import report
from benchmarks.scaling import run_scaling
from benchmarks.stored_bytes import measure_stored
from components.example_gen.data_source import SYNTHETIC_FLOWERS, find_photos, make_builder
from components.example_gen.options import DataSource
from components.example_gen.tfds_dataset import prepare_dataset
from components.modeling.backbones.loading import prepare_backbone

RANDOM_INCEPTION: Final = "inception_v3_architecture"
_CACHE: Final = Path("build/benchmarks")
_RESULTS: Final = Path(__file__).parent / "results"


def prepare_source(photos: str | None, num_photos: int) -> tuple[DataSource, int]:
    """Prepares photos that TFDS draws, outside of all measurements; returns the source and its number of photos."""
    data_dir = str((_CACHE / "datasets").resolve())
    if photos:
        source = DataSource(photos=str(Path(photos).expanduser().resolve()), data_dir=data_dir)
        return source, len(find_photos(source).photo_set.files)
    source = DataSource(dataset=SYNTHETIC_FLOWERS, num_photos=num_photos, data_dir=data_dir)
    builder = prepare_dataset(make_builder(source))
    return source, sum(split.num_examples for split in builder.info.splits.values())


def prepare_model(backbone: str) -> tuple[str, int]:
    """Returns a backbone's SavedModel folder and its image size in pixels."""
    if backbone == RANDOM_INCEPTION:
        from benchmarks.recipe.inception import build_random_inception

        backbone = str(build_random_inception(_CACHE.resolve() / RANDOM_INCEPTION))
    path, info = prepare_backbone(backbone)
    return path, info.image_size[0]


def measure_limits(subject: Subject) -> dict[str, Any]:
    """Measures decoding and the backbone alone, in a process of its own."""
    result = subject.folder / "limits.json"
    command = [
        sys.executable, "-m", "benchmarks.measuring.machine_limits",
        "--source", json.dumps(dataclasses.asdict(subject.source)),
        "--backbone", subject.backbone,
        "--image-size", str(subject.image_size),
        "--result", str(result),
    ]  # fmt: skip
    run_measured(command, subject.folder / "limits.log")
    limits: dict[str, Any] = json.loads(result.read_text())
    return limits


def run_all(subject: Subject, console: Console) -> dict[str, Any]:
    """Runs everything on one photo set, one after the other.

    Args:
        subject: What to run on.
        console: Told what is under way.

    Returns:
        Outcomes by name, as plain values.
    """
    steps = {
        "recipe": lambda: run_recipe(subject),
        "pipeline": lambda: run_pipeline(subject, "pipeline"),
        "head only": lambda: run_pipeline(subject, "head only", "--hidden-units", "256", "--learning-rate", "0.0005"),
        "identical": lambda: run_pipeline(subject, "identical", "--hidden-units", "256", "--learning-rate", "0.0005"),
    }
    shutil.rmtree(output_folder(subject), ignore_errors=True)
    outcomes = {}
    for name, step in steps.items():
        console.print(f"Running: {name} ...")
        outcome = step()
        outcomes[name] = dataclasses.asdict(outcome)
        console.print(f"         {outcome.measurement.wall_seconds:.0f} s")
    return outcomes


@click.command()
@click.option("--photos", metavar="PATH", help="A folder or .tgz of class-named folders, instead of drawn photos.")
@click.option("--num-photos", type=int, default=3670, show_default=True, help="Photos to draw; tf_flowers has 3,670.")
@click.option(
    "--backbone", default="efficientnet_lite0", show_default=True, help=f"Or {RANDOM_INCEPTION}, or a folder."
)
@click.option("--epochs", type=int, default=10, show_default=True)
@click.option("--scaling-sizes", default="400,1600", show_default=True, help="Numbers of drawn photos; empty for none.")
@click.option("--only-scaling", is_flag=True, help="Leave out the comparison with the recipe.")
@click.option("--work-dir", type=click.Path(path_type=Path), help="Where runs write; temporary by default.")
@click.option("--results-dir", type=click.Path(path_type=Path), default=_RESULTS, help="Where the JSON goes.")
def main(
    *,
    photos: str | None,
    num_photos: int,
    backbone: str,
    epochs: int,
    scaling_sizes: str,
    only_scaling: bool,
    work_dir: Path | None,
    results_dir: Path,
) -> None:
    """Compares the reference recipe with this pipeline, prints a table and writes JSON."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    sizes = [int(size) for size in scaling_sizes.split(",") if size]
    model, image_size = prepare_model(backbone)
    with tempfile.TemporaryDirectory(prefix="flowers-bench-") as temporary:
        folder = (work_dir or Path(temporary)).resolve()
        results: dict[str, Any] = {"backbone": backbone, "machine": describe_machine(), "epochs": epochs}
        if not only_scaling:
            console.print("Preparing photos (not measured) ...")
            source, count = prepare_source(photos, num_photos)
            subject = Subject(source, count, model, image_size, epochs, folder)
            subject.folder.mkdir(parents=True, exist_ok=True)
            results |= {"photos": count, "photo_source": "own photos" if photos else SYNTHETIC_FLOWERS}
            results["limits"] = measure_limits(subject)
            results["runs"] = run_all(subject, console)
            results["stored"] = measure_stored(output_folder(subject))
        if sizes:
            template = Subject(DataSource(), 0, model, image_size, epochs, folder)
            results["scaling"] = run_scaling(sizes, template, console, prepare_source)
    results_dir.mkdir(parents=True, exist_ok=True)
    name = "scaling" if only_scaling else "comparison"
    path = results_dir / f"{name}_{Path(backbone).name}.json"
    path.write_text(json.dumps(results, indent=2) + "\n")
    report.print_results(results, console)
    console.print(f"Written: {path}")


def describe_machine() -> dict[str, Any]:
    """Returns what the numbers depend on."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "architecture": platform.machine(),
        "python": platform.python_version(),
        "tfx": importlib.metadata.version("tfx"),
        "load_before": round(os.getloadavg()[0], 2),
    }


if __name__ == "__main__":
    main()
