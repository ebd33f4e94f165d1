"""Photos per second of FeatureExtractor against Beam workers: `python -m benchmarks.beam_workers --run OUTPUT`.

Takes the photos, the Transform graph and the backbone of a finished run, so that only the component is measured; the
photos are repeated. Each worker is a process whose TensorFlow has one thread: otherwise one worker would already use
every core. A tenth of the photos is measured first: what it takes longer than its share is start-up.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import click

from benchmarks.run import describe_machine

_RESULTS: Final = Path(__file__).parents[1] / "results"
_RUNNERS: Final = {"multi_processing": "DirectRunner, multi-processing", "flink": "Flink, worker processes"}
_ONE_THREAD: Final = {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1", "OMP_NUM_THREADS": "1"}
_SHARE_FOR_START_UP: Final = 0.1


@click.command()
@click.option("--run", "output", required=True, help="Output folder of a finished `local_runner.py run`.")
@click.option("--runner", "runners", multiple=True, type=click.Choice(list(_RUNNERS)), default=list(_RUNNERS))
@click.option("--workers", type=int, multiple=True, default=[1, 2], show_default=True)
@click.option("--photos", type=click.IntRange(min=100), default=12_800, show_default=True)
@click.option("--results-dir", type=click.Path(path_type=Path), default=_RESULTS, help="Where JSON and chart go.")
@click.option("--measure", is_flag=True, hidden=True, help="Measure once, in this process.")
def main(
    *, output: str, runners: tuple[str, ...], workers: tuple[int, ...], photos: int, results_dir: Path, measure: bool
) -> None:
    """Measures every runner with every number of workers, and draws the chart."""
    if measure:
        from benchmarks.beam_workers.extraction import extract_features

        click.echo(json.dumps(extract_features(Path(output), runners[0], workers[0], photos)))
        return
    machine = describe_machine()
    results = []
    for runner in runners:
        for count in workers:
            results.append(_measure(output, runner, count, photos))
            first = next(r for r in results if r["runner"] == runner)
            results[-1]["speedup"] = round(results[-1]["photos_per_second"] / first["photos_per_second"], 2)
            click.echo(", ".join(f"{name} {value}" for name, value in results[-1].items()))
    if len({result["features_sha256"] for result in results}) > 1:
        raise click.ClickException("the features differ between runners")
    command = " ".join(["python -m benchmarks.beam_workers", *sys.argv[1:]])
    results_dir.mkdir(exist_ok=True)
    found = {"command": command, "machine": machine, "photos": photos, "results": results}
    (results_dir / "beam_workers.json").write_text(json.dumps(found, indent=2) + "\n")
    draw(found, results_dir / "beam_workers.svg")


def _measure(output: str, runner: str, workers: int, photos: int) -> dict[str, Any]:
    few = round(photos * _SHARE_FOR_START_UP)
    small, large = (_in_own_process(output, runner, workers, count) for count in (few, photos))
    per_second = (photos - few) / (large["seconds"] - small["seconds"])
    rate = {
        "photos_per_second": round(per_second, 1),
        "start_up_seconds": round(small["seconds"] - few / per_second, 1),
    }
    return {"runner": runner, "workers": workers, **rate, **large}


def _in_own_process(output: str, runner: str, workers: int, photos: int) -> dict[str, Any]:
    options = ["--run", output, "--runner", runner, "--workers", str(workers), "--photos", str(photos), "--measure"]
    command = [sys.executable, "-m", "benchmarks.beam_workers", *options]
    finished = subprocess.run(command, env={**os.environ, **_ONE_THREAD}, stdout=subprocess.PIPE, check=True)
    return json.loads(finished.stdout.splitlines()[-1])


def draw(found: dict[str, Any], path: Path) -> None:
    """Draws photos per second against workers, a line per runner.

    Args:
        found: What `main` writes.
        path: The picture to write; its suffix is the format.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    results = found["results"]
    figure, axes = plt.subplots(figsize=(5, 3.2), layout="constrained")
    for runner, label in _RUNNERS.items():
        points = sorted((r["workers"], r["photos_per_second"]) for r in results if r["runner"] == runner)
        if points:
            axes.plot(*zip(*points, strict=True), marker="o", label=label)
    axes.set_xticks(sorted({r["workers"] for r in results}))
    axes.set_ylim(0, 1.2 * max(r["photos_per_second"] for r in results))
    axes.set_xlabel("workers, one thread each")
    axes.set_ylabel("photos per second")
    axes.set_title(f"Feature extraction of {found['photos']:,} photos, start-up apart", fontsize=10)
    axes.legend(loc="lower right")
    figure.savefig(path)


if __name__ == "__main__":
    main()
