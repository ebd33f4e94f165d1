"""`local_runner.py labels`: photos whose label is doubtful."""

import csv
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from components.contracts.label_review import DoubtfulLabel
from pipeline.cli.store_options import console, percent, print_json, store_options

if TYPE_CHECKING:
    from pipeline.records.store import RunStore


@click.command()
@click.argument("run", default="latest")
@click.option("--limit", type=click.IntRange(min=0), default=20, show_default=True, help="Rows of the table; 0: all.")
@click.option(
    "--to", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path), help="Write all of them to a .csv."
)
@store_options
def labels(store: "RunStore", run: str, limit: int, to: Path | None, as_json: bool) -> None:
    """List the photos of RUN (an id, the beginning of one, latest, latest~1) whose label is doubtful.

    Look at them, keep the rows whose label is wrong, and give the file to `run --relabel` or `run --exclude`.
    """
    from rich.markup import escape
    from rich.table import Table

    from components.common.errors import UserError

    found = store.find_run(run)
    summary, doubtful = found.label_review, found.doubtful_labels
    if summary is None:
        raise UserError(f"run {found.run_id} has no review of labels: LabelReviewer did not run, or did not end")
    if to is not None:
        _write(to, doubtful)
        click.echo(f"{len(doubtful)} doubtful labels are in {to}")
        return
    if as_json:
        print_json(doubtful)
        return
    table = Table("photo", "split", "label", "", "suggested", "")
    for entry in doubtful[: limit or None]:
        own, other = percent(entry.label_probability), percent(entry.suggested_probability)
        table.add_row(*map(escape, (entry.id, entry.split, entry.label, own, entry.suggested_label, other)))
    out = console()
    out.print(table)
    out.print(f"{len(doubtful)} of {sum(summary.photos.values())} labels are doubtful; --to FILE.csv writes them all.")


def _write(path: Path, doubtful: Sequence[DoubtfulLabel]) -> None:
    from components.common.errors import UserError, reason_of

    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, [field.name for field in dataclasses.fields(DoubtfulLabel)])
            writer.writeheader()
            writer.writerows(map(dataclasses.asdict, doubtful))
    except OSError as error:
        raise UserError(f"cannot write {path}: {reason_of(error)}; choose another file") from error
