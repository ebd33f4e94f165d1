"""The README's charts, from the benchmark's own JSON: `python -m benchmarks.measuring.chart`."""

import json
from pathlib import Path
from typing import Any, Final

import click
import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

_RESULTS: Final = Path(__file__).parents[1] / "results"
_COLORS: Final = {"recipe": "#8c8c8c", "pipeline": "#2a6f97", "head only": "#61a5c2", "identical": "#a9d6e5"}
_LABELS: Final = {
    "recipe": "reference recipe",
    "pipeline": "pipeline, first run",
    "head only": "pipeline, other head",
    "identical": "pipeline, same again",
}


def draw_comparison(axes: Axes, results: dict[str, Any]) -> None:
    """Draws the wall time of every run as a bar, with its ratio to the recipe's."""
    runs = results["runs"]
    seconds = [runs[name]["measurement"]["wall_seconds"] for name in _LABELS]
    bars = axes.barh(list(_LABELS.values()), seconds, color=list(_COLORS.values()))
    texts = [
        f"{value:.0f} s" if value == seconds[0] else f"{value:.0f} s ({seconds[0] / value:.1f}x)" for value in seconds
    ]
    axes.bar_label(bars, texts, padding=4)
    axes.invert_yaxis()
    axes.set_xlim(0, max(seconds) * 1.3)
    axes.set_xlabel("wall seconds")
    cores = results["machine"]["cores"]
    title = f"{results['backbone']}: {results['photos']:,} photos, {results['epochs']} epochs, {cores} cores"
    axes.set_title(title, fontsize=10)


def draw_scaling(axes: Axes, results: dict[str, Any]) -> None:
    """Draws time per photo and peak memory against the number of photos."""
    photos = [row["photos"] for row in results["scaling"]]
    (time_line,) = axes.plot(photos, [row["wall_ms_per_photo"] for row in results["scaling"]], "o-", color="#2a6f97")
    memory = axes.twinx()
    peaks = [row["peak_memory_mb"] / 1000 for row in results["scaling"]]
    (memory_line,) = memory.plot(photos, peaks, "s--", color="#8c8c8c")
    axes.set_xscale("log")
    axes.set_xticks(photos, [f"{count:,}" for count in photos], minor=False)
    axes.set_xticks([], minor=True)
    axes.set_ylim(bottom=0)
    memory.set_ylim(bottom=0)
    axes.set_xlabel("photos")
    axes.set_ylabel("wall ms per photo")
    memory.set_ylabel("peak memory in GB")
    axes.legend([time_line, memory_line], ["time per photo", "peak memory"], loc="lower left")
    axes.set_title(f"{results['backbone']}: from an empty folder to a pushed model")


def save(name: str, parts: list[dict[str, Any]], folder: Path) -> Path | None:
    """Draws one panel per result file and writes them as one SVG; returns its path, or None without results."""
    if not parts:
        return None
    draw = draw_scaling if name == "scaling" else draw_comparison
    figure, axes = plt.subplots(1, len(parts), figsize=(6.5 * len(parts), 2.8), squeeze=False, layout="constrained")
    for panel, results in zip(axes[0], parts, strict=True):
        draw(panel, results)
        panel.spines[["top", "right"]].set_visible(False)
    path = folder / f"{name}.svg"
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
    return path


@click.command()
@click.option("--results-dir", type=click.Path(path_type=Path, exists=True), default=_RESULTS)
def main(results_dir: Path) -> None:
    """Draws comparison.svg and scaling.svg beside the results."""
    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "flowers"
    for name in ("comparison", "scaling"):
        results = [json.loads(file.read_text()) for file in sorted(results_dir.glob(f"{name}_*.json"))]
        path = save(name, results, results_dir)
        print(f"Written: {path}" if path else f"No results for {name}")


if __name__ == "__main__":
    main()
