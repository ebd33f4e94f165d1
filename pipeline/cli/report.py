"""`local_runner.py report`: a run as one HTML page."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.cli.group import echo
from pipeline.cli.store_options import local_path, print_json, store_options

if TYPE_CHECKING:
    from pipeline.records.store import RunStore


@click.command()
@click.argument("run", default="latest")
@click.option(
    "--to", metavar="FILE", callback=local_path, help="The page to write.  [default: DIR/reports/PIPELINE/RUN.html]"
)
@store_options
def report(store: "RunStore", run: str, to: str | None, as_json: bool) -> None:
    """Write the report of RUN as one HTML page.

    RUN is an id, an unambiguous part of one, latest, or latest~1. Everything is in the page, which loads nothing from
    anywhere: data, training, evaluation, mistakes, lineage, parameters and the model card. The model card is also
    written beside it, as JSON.
    """
    from pipeline.report.page import write_report

    written = write_report(store.find_run(run), Path(to).expanduser().absolute() if to else None)
    if as_json:
        print_json(written)
        return
    echo(f"Report:      {written.page}")
    echo(f"Model card:  {written.model_card}")
