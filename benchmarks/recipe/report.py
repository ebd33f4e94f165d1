"""Tables of benchmark results on the terminal."""

from typing import Any, Final

from rich.console import Console
from rich.table import Table

from benchmarks.stored_bytes import stored_table

# Bars of the project: the recipe's wall time over the run's.
BARS: Final = {
    "efficientnet_lite0": {"pipeline": 3, "head only": 12},
    "inception_v3_architecture": {"pipeline": 5, "head only": 30},
}
IDENTICAL_BAR_SECONDS: Final = 30


def print_results(results: dict[str, Any], console: Console) -> None:
    """Prints every part that was measured."""
    if "runs" in results:
        console.print(_comparison(results))
        console.print(_components(results["runs"]))
        console.print(_limits(results["limits"]))
        console.print(stored_table(results["stored"]))
    if "scaling" in results:
        console.print(_scaling(results["scaling"]))


def _comparison(results: dict[str, Any]) -> Table:
    title = f"{results['photos']} photos, {results['backbone']}, {results['epochs']} epochs"
    table = _table(
        title, "run", "wall s", "CPU s", "peak MB", "backbone passes/photo", "test accuracy", "faster", "bar"
    )
    recipe = results["runs"]["recipe"]["measurement"]["wall_seconds"]
    bars = BARS.get(results["backbone"], {})
    for name, run in results["runs"].items():
        measurement = run["measurement"]
        wall = measurement["wall_seconds"]
        if name == "identical":
            bar = f"{'met' if wall < IDENTICAL_BAR_SECONDS else 'missed'}: < {IDENTICAL_BAR_SECONDS} s"
        elif name in bars:
            bar = f"{'met' if recipe / wall >= bars[name] else 'missed'}: {bars[name]}x"
        else:
            bar = ""
        table.add_row(
            name, f"{wall:.1f}", f"{measurement['cpu_seconds']:.1f}", f"{measurement['peak_memory_mb']:.0f}",
            f"{run['passes_per_photo']:.2f}", f"{run['test_accuracy']:.4f}", f"{recipe / wall:.1f}x", bar,
        )  # fmt: skip
    return table


def _components(runs: dict[str, Any]) -> Table:
    names = [name for name in runs if runs[name]["component_seconds"]]
    table = _table("Wall seconds per component (* cached)", "component", *names)
    for component in runs[names[0]]["component_seconds"]:
        cells = [
            f"{runs[name]['component_seconds'].get(component, 0):.1f}{'*' if component in runs[name]['cached'] else ''}"
            for name in names
        ]
        table.add_row(component, *cells)
    return table


def _limits(limits: dict[str, Any]) -> Table:
    table = _table("Against the machine's limits", "step", "photos/s", "share of the limit")
    rates = limits["photos_per_second"]
    table.add_row("JPEG decoding alone (limit)", f"{rates['decode']:.0f}", "1.00")
    for name in ("decode_and_resize", "decode_half_scale_and_resize"):
        table.add_row(name.replace("_", " "), f"{rates[name]:.0f}", f"{rates[name] / rates['decode']:.2f}")
    peak = limits["matmul_gflops"] / limits["backbone_gflop_per_photo"]
    table.add_row(f"float32 matmul peak, {limits['matmul_gflops']:.0f} GFLOP/s (limit)", f"{peak:.0f}", "1.00")
    table.add_row("backbone", f"{rates['backbone']:.1f}", f"{limits['backbone_fraction_of_peak']:.2f}")
    return table


def _scaling(scaling: list[dict[str, Any]]) -> Table:
    table = _table("The pipeline as photos grow", "photos", "wall s", "wall ms/photo", "CPU ms/photo", "peak MB")
    for row in scaling:
        table.add_row(
            f"{row['photos']:,}", f"{row['wall_seconds']:.1f}", f"{row['wall_ms_per_photo']:.1f}",
            f"{row['cpu_ms_per_photo']:.1f}", f"{row['peak_memory_mb']:.0f}",
        )  # fmt: skip
    return table


def _table(title: str, first: str, *others: str) -> Table:
    table = Table(first, title=title, title_justify="left")
    for name in others:
        table.add_column(name, justify="right")
    return table
