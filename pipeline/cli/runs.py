"""`local_runner.py runs`: every run at a glance."""

import datetime
from typing import TYPE_CHECKING, Any

import click
from rich import box
from rich.markup import escape

from components.common.text import counted
from components.contracts import DATASET_VERSION_PROPERTY, TEST_SPLIT, VALIDATION_SPLIT
from pipeline.cli.store_options import console, percent, print_json, store_options, table

if TYPE_CHECKING:
    from pipeline.records.store import Run, RunStore

_STATE_STYLES = {"complete": "green", "failed": "red", "running": "cyan", "interrupted": "yellow"}


@click.command()
@click.option("--limit", type=click.IntRange(min=0), default=20, show_default=True, help="Latest runs; 0: all.")
@store_options
def runs(store: "RunStore", limit: int, as_json: bool) -> None:
    """List runs, latest first: data, backbone, accuracy, blessed or not, time.

    The first column is a part of each run's id, which other commands take for RUN; --json prints whole ids.
    """
    chosen = list(reversed(store.runs[-limit:]))
    if as_json:
        print_json([_content(run) for run in chosen])
        return
    numbers = ("val.", "test", "blessed", "time")
    rows = table("run", "state", "dataset", "backbone", numbers=numbers)
    # A terminal of 80 columns shows whole ids and states, and folds names.
    rows.box, rows.show_edge, rows.pad_edge, rows.padding = box.SIMPLE, False, False, (0, 1, 0, 0)
    rows.columns[0].no_wrap, rows.columns[1].min_width = True, len("interrupted")
    rows.columns[2].overflow = rows.columns[3].overflow = "fold"
    for run in chosen:
        content = _content(run)
        rows.add_row(
            escape(store.short_id(run.run_id)),
            f"[{_STATE_STYLES[run.state]}]{escape(' '.join([run.state, *run.failed_nodes]))}[/]",
            escape(run.dataset or "-"),
            escape(run.backbone or "-"),
            percent(content["validation_accuracy"]),
            percent(content["test_accuracy"]),
            {None: "-", True: "[green]yes[/]", False: "[yellow]no[/]"}[run.blessed],
            f"{content['seconds']:.0f} s",
        )
    out = console()
    out.print(rows)
    if older := len(store.runs) - len(chosen):
        out.print(f"{counted(older, 'older run')} not shown: --limit 0 lists all runs.")


def _content(run: "Run") -> dict[str, Any]:
    started = datetime.datetime.fromtimestamp(run.started_ms / 1000).isoformat(timespec="seconds")
    return {
        "run_id": run.run_id,
        "pipeline": run.pipeline_name,
        "state": run.state,
        "failed_nodes": run.failed_nodes,
        "started": started if run.started_ms else run.run_id,
        "seconds": round((run.ended_ms - run.started_ms) / 1000, 1) if run.started_ms else 0.0,
        "dataset": run.dataset,
        "dataset_version": run.examples_property(DATASET_VERSION_PROPERTY) or None,
        "backbone": run.backbone,
        "validation_accuracy": run.accuracy(VALIDATION_SPLIT),
        "test_accuracy": run.accuracy(TEST_SPLIT),
        "blessed": run.blessed,
        "pushed_path": run.pushed_path,
        "cached_nodes": run.cached_nodes,
    }
