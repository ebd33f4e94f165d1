"""`local_runner.py why`: why a model was or was not blessed."""

from typing import TYPE_CHECKING

import click

from components.contracts.evaluation import LOWER
from pipeline.cli.store_options import console, print_json, store_options

if TYPE_CHECKING:
    from pipeline.records.explanation import Check, Explanation
    from pipeline.records.store import RunStore


@click.command()
@click.argument("run", default="latest")
@store_options
def why(store: "RunStore", run: str, as_json: bool) -> None:
    """Say why RUN (an id, the beginning of one, latest, latest~1) was or was not blessed.

    Every bound with what was measured, the gap between the two, and the 95% confidence interval that the number of
    test photos allows: a bound inside the interval means that other photos could have decided otherwise.
    """
    from rich.table import Table

    from pipeline.records.explanation import explain

    explanation = explain(store.find_run(run))
    if as_json:
        print_json(explanation)
        return
    out = console()
    out.print(_headline(explanation), style="green" if explanation.blessed else "yellow", markup=False)
    if not explanation.checks:
        return
    table = Table("bound", "", title=None)
    for heading in ("required", "measured", "baseline", "gap", "95% interval"):
        table.add_column(heading, justify="right")
    for check in explanation.checks:
        interval = "-" if check.interval is None else f"{check.interval.low:+.4f} to {check.interval.high:+.4f}"
        table.add_row(
            _bound_name(check),
            "[green]met[/]" if check.passed else "[red]missed[/]",
            _number(check.bound, check),
            _number(check.measured, check),
            "-" if check.baseline is None else f"{check.baseline:.4f}",
            "-" if check.gap is None else f"{check.gap:+.4f}",
            interval if check.kind == "change" else interval.replace("+", ""),
        )
    out.print(table)
    for check in explanation.checks:
        out.print(_remark(check), markup=False)
    if explanation.baseline_run:
        out.print(f"The baseline is the model of run {explanation.baseline_run}.", markup=False)
    if remark := explanation.baseline_remark:
        out.print(remark, markup=False)


def _headline(explanation: "Explanation") -> str:
    if explanation.blessed is None:
        reason = {
            "failed": f"it failed at {', '.join(explanation.failed_nodes)}",
            "running": "it is still running",
        }.get(explanation.state, "it did not get as far as the test split")
        return f"Run {explanation.run_id} has no verdict: {reason}."
    if explanation.blessed:
        return f"Run {explanation.run_id} was blessed."
    missed = [_bound_name(check) for check in explanation.checks if not check.passed]
    reason = f": it missed {len(missed)} of {len(explanation.checks)} bounds" if missed else ""
    return f"Run {explanation.run_id} was not blessed{reason}."


def _bound_name(check: "Check") -> str:
    return f"test {check.metric}" if check.kind == "value" else f"change of test {check.metric} to the baseline"


def _number(value: float | None, check: "Check") -> str:
    if value is None:
        return "-"
    # Adding 0 turns a bound of -0.0 (no drop allowed) into 0.0.
    return f"{value:.4f}" if check.kind == "value" else f"{value + 0.0:+.4f}"


def _remark(check: "Check") -> str:
    name = _bound_name(check)
    if check.measured is None:
        return f"- {check.miss}."
    if check.interval is None:
        return f"- {name}: no interval is known for this metric."
    side = "above" if check.passed == (check.direction == LOWER) else "below"
    if check.within_noise:
        return (
            f"- {name}: within noise ({check.interval.method}): the interval holds the bound, so other photos could "
            f"have put the model on its other side. More test photos would tell."
        )
    return f"- {name}: clearly {side} the bound ({check.interval.method})."
