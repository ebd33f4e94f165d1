"""`local_runner.py compare`: two runs side by side."""

from typing import TYPE_CHECKING, Any

import click
from rich.markup import escape

from components.common.text import counted
from pipeline.cli.store_options import console, print_json, store_options, table

if TYPE_CHECKING:
    from pipeline.records.comparison import Comparison
    from pipeline.records.store import RunStore


@click.command()
@click.argument("first", metavar="[RUN]", default="latest")
@click.argument("second", metavar="[RUN]", required=False)
@click.option("--photos", "limit", type=click.IntRange(min=0), default=20, show_default=True, help="Photos to list.")
@store_options
def compare(store: "RunStore", first: str, second: str | None, limit: int, as_json: bool) -> None:
    """Show the differences between two runs: parameters, metrics per class, predictions.

    RUN is an id, an unambiguous part of one, latest, or latest~1 for the run before. One RUN is compared with the
    latest. Without RUN, the latest is compared with the run of its baseline, or else the run before it.
    """
    from pipeline.records.comparison import compare as compare_runs
    from pipeline.records.comparison import reference_run

    one, other = store.find_run(first), store.find_run(second or "latest")
    comparison = compare_runs(reference_run(other) if second is None and one is other else one, other)
    if as_json:
        print_json(comparison)
        return
    out = console()
    out.print(f"First:  {comparison.runs[0]}\nSecond: {comparison.runs[1]}", markup=False)
    out.print(_parameters_table(comparison))
    for split, metrics in comparison.metrics.items():
        out.print(_metrics_table(split, metrics))
    if interval := comparison.accuracy_change:
        verdict = "within noise: the interval contains 0" if interval.holds(0) else "more than noise"
        out.print(
            f"Change of test accuracy, 95% interval: {interval.low:+.4f} to {interval.high:+.4f} "
            f"({interval.method}); {verdict}.",
            markup=False,
        )
    _print_changed(out, comparison, limit)


def _parameters_table(comparison: "Comparison") -> Any:

    if not comparison.parameters:
        return "All parameters are equal."
    rows = table("parameter", "first", "second", title="Different parameters")
    for name, values in comparison.parameters.items():
        rows.add_row(escape(name), *("-" if value is None else escape(str(value)) for value in values))
    return rows


def _metrics_table(split: str, metrics: dict[str, tuple[float | None, float | None]]) -> Any:

    if not metrics:
        return f"Neither run was evaluated on the {split} split."
    rows = table("metric", numbers=("first", "second", "change"), title=f"Metrics on the {split} split")
    for name, (first, second) in metrics.items():
        change = "-" if first is None or second is None else f"{second - first:+.4f}"
        numbers = ("-" if value is None else f"{value:.4f}" for value in (first, second))
        rows.add_row(escape(name), *numbers, change)
    return rows


def _print_changed(out: Any, comparison: "Comparison", limit: int) -> None:

    changed = comparison.changed_predictions
    if not comparison.common_photos:
        out.print("The two runs have no test photo in common.")
        return
    fixed = sum(change.second == change.true for change in changed)
    broken = sum(change.first == change.true for change in changed)
    out.print(
        f"Predictions differ for {len(changed)} of {counted(comparison.common_photos, 'test photo')}: "
        f"{fixed} fixed, {broken} broken, {len(changed) - fixed - broken} wrong in both."
    )
    if changed and limit:
        rows = table("photo", "true", "first", "second")
        for change in changed[:limit]:
            cells = (f"[green]{escape(c)}[/]" if c == change.true else escape(c) for c in (change.first, change.second))
            rows.add_row(escape(change.id), escape(change.true), *cells)
        out.print(rows)
        if len(changed) > limit:
            out.print(f"{len(changed) - limit} more: --photos {len(changed)} lists all.")
