"""`local_runner.py runs`: every run at a glance."""

import click

from pipeline.cli.store_options import console, percent, print_json, store_options
from pipeline.history.store import RunStore

_STATE_STYLES = {"complete": "green", "failed": "red", "running": "cyan", "interrupted": "yellow"}


@click.command()
@click.option("--limit", type=click.IntRange(min=0), default=20, show_default=True, help="Latest runs; 0: all.")
@store_options
def runs(store: RunStore, limit: int, as_json: bool) -> None:
    """List runs, latest first: data, backbone, accuracy, blessed or not, time."""
    from rich.markup import escape
    from rich.table import Table

    from pipeline.history.runs import describe_run

    run_ids = list(store.pipeline_names)
    records = [describe_run(store, run_id) for run_id in reversed(run_ids[-limit:])]
    if as_json:
        print_json(records)
        return
    table = Table("run", "started", "state", "dataset", "backbone")
    for heading in ("validation", "test", "blessed", "time"):
        table.add_column(heading, justify="right")
    for record in records:
        blessed = {None: "-", True: "[green]yes[/]", False: "[yellow]no[/]"}[record.blessed]
        state = " ".join([record.state, *record.failed_nodes])
        table.add_row(
            record.run_id,
            record.started.replace("T", " "),
            f"[{_STATE_STYLES[record.state]}]{escape(state)}[/]",
            escape(record.dataset or "-"),
            escape(record.backbone or "-"),
            percent(record.validation_accuracy),
            percent(record.test_accuracy),
            blessed,
            f"{record.seconds:.0f} s",
        )
    out = console()
    out.print(table)
    if len(records) < len(run_ids):
        out.print(f"{len(run_ids) - len(records)} older runs are left out: --limit 0 lists them all.")
