"""`local_runner.py why`: why a model was or was not blessed."""

import dataclasses
from typing import TYPE_CHECKING

import click

from components.common.text import counted
from components.contracts.evaluation import LOWER
from pipeline.cli.store_options import console, print_json, store_options, table

if TYPE_CHECKING:
    from pipeline.records.explanation import ExplainedThreshold, Explanation
    from pipeline.records.store import RunStore


@click.command()
@click.argument("run", default="latest")
@store_options
def why(store: "RunStore", run: str, as_json: bool) -> None:
    """Say why RUN was or was not blessed.

    RUN is an id, an unambiguous part of one, latest, or latest~1. For every threshold: the bound, the measured value,
    the gap between the two, and a 95% confidence interval. If the bound lies inside the interval, other test photos
    could have changed the outcome.
    """
    from pipeline.records.explanation import explain

    explanation = explain(store.find_run(run))
    if as_json:
        content = dataclasses.asdict(explanation)
        # The public name in the JSON output.
        print_json({"checks" if key == "thresholds" else key: value for key, value in content.items()})
        return
    out = console()
    out.print(_headline(explanation), style="green" if explanation.blessed else "yellow", markup=False)
    if not explanation.thresholds:
        return
    rows = table("threshold", "", numbers=("required", "measured", "baseline", "gap", "95% interval"))
    for threshold in explanation.thresholds:
        interval = threshold.interval
        limits = "-" if interval is None else f"{interval.low:+.4f} to {interval.high:+.4f}"
        rows.add_row(
            _threshold_name(threshold),
            "[green]met[/]" if threshold.passed else "[red]missed[/]",
            _number(threshold.bound, threshold),
            _number(threshold.measured, threshold),
            "-" if threshold.baseline is None else f"{threshold.baseline:.4f}",
            "-" if threshold.gap is None else f"{threshold.gap:+.4f}",
            limits if threshold.kind == "change" else limits.replace("+", ""),
        )
    out.print(rows)
    for threshold in explanation.thresholds:
        out.print(_remark(threshold), markup=False)
    if explanation.baseline_run:
        out.print(f"The baseline is the model of run {explanation.baseline_run}.", markup=False)
    if explanation.baseline_remark:
        out.print(explanation.baseline_remark, markup=False)


def _headline(explanation: "Explanation") -> str:
    if explanation.blessed is None:
        reason = {
            "failed": f"it failed at {', '.join(explanation.failed_nodes)}",
            "running": "it is still running",
        }.get(explanation.state, "it did not get as far as the test split")
        return f"Run {explanation.run_id} has no verdict: {reason}."
    if explanation.blessed:
        return f"Run {explanation.run_id} was blessed."
    missed = sum(not threshold.passed for threshold in explanation.thresholds)
    reason = f": it missed {missed} of {counted(len(explanation.thresholds), 'threshold')}" if missed else ""
    return f"Run {explanation.run_id} was not blessed{reason}."


def _threshold_name(threshold: "ExplainedThreshold") -> str:
    name = f"test {threshold.metric}"
    return name if threshold.kind == "value" else f"change of {name} to the baseline"


def _number(value: float | None, threshold: "ExplainedThreshold") -> str:
    if value is None:
        return "-"
    # Adding 0 turns a bound of -0.0 (no drop allowed) into 0.0.
    return f"{value:.4f}" if threshold.kind == "value" else f"{value + 0.0:+.4f}"


def _remark(threshold: "ExplainedThreshold") -> str:
    name = _threshold_name(threshold)
    if threshold.measured is None:
        return f"- {threshold.miss}."
    if threshold.interval is None:
        return f"- {name}: no interval is known for this metric."
    side = "above" if threshold.passed == (threshold.direction == LOWER) else "below"
    if threshold.within_noise:
        return (
            f"- {name}: within noise ({threshold.interval.method}): the interval contains the bound, so other "
            "test photos could have changed the outcome. More test photos would decide."
        )
    return f"- {name}: clearly {side} the bound ({threshold.interval.method})."
