"""How time per photo, memory and stored bytes grow with the number of photos."""

import dataclasses
import shutil
from collections.abc import Callable, Sequence
from typing import Any

from rich.console import Console

from benchmarks.measuring.subjects import Subject, output_folder, run_pipeline
from benchmarks.stored_bytes import count_stored
from components.example_gen.options import DataSource

PrepareSource = Callable[[str | None, int], tuple[DataSource, int]]


def run_scaling(
    sizes: Sequence[int], template: Subject, console: Console, prepare: PrepareSource, *options: str
) -> list[dict[str, Any]]:
    """Runs the pipeline from an empty folder on drawn photos of several numbers.

    Args:
        sizes: Numbers of photos.
        template: Everything but the photos; its folder is emptied after each run.
        console: Told what is under way.
        prepare: Draws the photos, outside of the measurement.
        *options: More options of `local_runner.py run`.

    Returns:
        Per size the photos, the measurement, the seconds and CPU seconds per photo, and by component the seconds, CPU
        seconds, peak memory and stored bytes.
    """
    found = []
    for size in sizes:
        console.print(f"Running: pipeline on {size} photos ...")
        source, count = prepare(None, size)
        folder = template.folder / f"scaling-{size}"
        subject = dataclasses.replace(template, source=source, photos=count, folder=folder)
        outcome = run_pipeline(subject, "pipeline", *options)
        stored = count_stored(output_folder(subject))
        shutil.rmtree(subject.folder)
        measurement = outcome.measurement
        console.print(f"         {measurement.wall_seconds:.0f} s, {measurement.peak_memory_mb:.0f} MB")
        found.append(
            {
                "photos": count,
                **dataclasses.asdict(measurement),
                "wall_ms_per_photo": round(1000 * measurement.wall_seconds / count, 2),
                "cpu_ms_per_photo": round(1000 * measurement.cpu_seconds / count, 2),
                "component_seconds": outcome.component_seconds,
                "component_cpu_seconds": outcome.component_cpu_seconds,
                "component_memory_mb": outcome.component_memory_mb,
                "stored_bytes": stored,
            }
        )
    return found
