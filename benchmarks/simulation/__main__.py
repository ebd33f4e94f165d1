"""`python -m benchmarks.simulation`: what 10 and 100 million photos would take, as tables in Markdown.

Prices and machines are options. The defaults are list prices of us-central1 as they were published in 2025, of batch
jobs (https://cloud.google.com/dataflow/pricing) and, for Flink, of E2 machines
(https://cloud.google.com/compute/all-pricing). They were not looked up again since.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from benchmarks.simulation.costs import load_costs
from benchmarks.simulation.model import Engine, Limit, StepCost, StepTime, find_limits, simulate

_RESULTS: Final = Path(__file__).parents[1] / "results"
# As the default near_duplicate_distance of 4 bits has it.
_BANDS: Final = 5


@click.command()
@click.option(
    "--costs", type=click.Path(exists=True, path_type=Path), default=_RESULTS / "scaling_efficientnet_lite0.json"
)
@click.option(
    "--stored", type=click.Path(exists=True, path_type=Path), default=_RESULTS / "scale" / "stored_bytes.json"
)
@click.option(
    "--single", type=click.Path(exists=True, path_type=Path), default=_RESULTS / "scale" / "single_process.json"
)
@click.option("--photos", type=int, multiple=True, default=[10_000_000, 100_000_000], show_default=True)
@click.option("--workers", type=int, default=100, show_default=True)
@click.option("--cores", type=int, default=4, show_default=True, help="Of each worker.")
@click.option("--memory-gb", type=float, default=16.0, show_default=True, help="Of each worker.")
@click.option("--start-s", type=float, default=180.0, show_default=True, help="Until workers compute, per component.")
@click.option("--mb-per-s", type=float, default=100.0, show_default=True, help="What a worker reads and writes.")
@click.option("--epochs", type=int, default=10, show_default=True)
@click.option("--dataflow-prices", nargs=3, type=float, default=(0.056, 0.003557, 0.011), show_default=True)
@click.option("--flink-prices", nargs=3, type=float, default=(0.021811, 0.002923, 0.0), show_default=True)
@click.option("--patience-hours", type=float, default=24.0, show_default=True, help="For what only one process does.")
@click.option("--job-mb", type=float, default=10.0, show_default=True, help="The largest description of a job.")
def main(
    *,
    costs: Path,
    stored: Path,
    single: Path,
    photos: tuple[int, ...],
    workers: int,
    cores: int,
    memory_gb: float,
    start_s: float,
    mb_per_s: float,
    epochs: int,
    dataflow_prices: tuple[float, float, float],
    flink_prices: tuple[float, float, float],
    patience_hours: float,
    job_mb: float,
) -> None:
    """Prints what a run would take on Dataflow and on Flink, and which step breaks first.

    Prices are dollars per core hour, per GB hour of memory, and per GB shuffled.
    """
    runs, stored_bytes, single_process = (json.loads(file.read_text()) for file in (costs, stored, single))
    steps = load_costs(runs, stored_bytes, single_process, epochs, _BANDS)
    machines = workers, cores, memory_gb, start_s, mb_per_s * 1e6
    engines = [Engine("Dataflow", *machines, *dataflow_prices), Engine("Flink", *machines, *flink_prices)]
    limits = _limits_table(find_limits(steps, engines[0], patience_hours, job_mb * 1e6))
    sections = [_times_table(steps, count, engines) for count in photos]
    click.echo("\n\n".join([*sections, limits]))


def _times_table(steps: Sequence[StepCost], photos: int, engines: Sequence[Engine]) -> str:
    """Hours are those of both engines: they differ in prices alone."""
    first, *others = (simulate(steps, photos, engine) for engine in engines)
    names = " | ".join(f"{engine.name} $" for engine in engines)
    machine = f"{engines[0].workers} workers of {engines[0].cores} cores and {engines[0].memory_gb:g} GB"
    lines = [
        f"{photos:,} photos, {machine}:",
        "",
        f"| component | hours of all workers | hours of one process | shuffled GB | stored GB | {names} |",
        f"|---|---|---|---|---|{'---|' * len(engines)}",
    ]
    for index, step in enumerate(first):
        dollars = [step.dollars, *(other[index].dollars for other in others)]
        lines.append(_row(step.name, step.start_hours + step.parallel_hours, step, dollars))
    total = StepTime(
        "in all",
        sum(step.parallel_hours for step in first),
        sum(step.serial_hours for step in first),
        sum(step.start_hours for step in first),
        sum(step.shuffled_bytes for step in first),
        sum(step.stored_bytes for step in first),
        0.0,
    )
    dollars = [sum(step.dollars for step in times) for times in (first, *others)]
    return "\n".join([*lines, _row(total.name, total.start_hours + total.parallel_hours, total, dollars)])


def _row(name: str, worker_hours: float, step: StepTime, dollars: Sequence[float]) -> str:
    sizes = [f"{size / 1e9:,.0f}" for size in (step.shuffled_bytes, step.stored_bytes)]
    cells = [name, f"{worker_hours:.2f}", f"{step.serial_hours:.2f}", *sizes, *(f"{price:,.0f}" for price in dollars)]
    return f"| {' | '.join(cells)} |"


def _limits_table(limits: Sequence[Limit]) -> str:
    rows = [f"| {float(f'{limit.photos:.2g}'):,.0f} photos | {limit.name} | {limit.why} |" for limit in limits]
    return "\n".join(["| breaks at about | component | why |", "|---|---|---|", *rows])


if __name__ == "__main__":
    main()
