"""`local_runner.py labels`: photos with doubtful labels."""

import csv
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.markup import escape

from components.common.errors import UserError, reason_of
from components.common.text import counted
from components.contracts.label_review import DoubtfulLabel
from pipeline.cli.group import echo
from pipeline.cli.store_options import console, local_path, percent, print_json, store_options, table

if TYPE_CHECKING:
    from pipeline.records.store import RunStore


@click.command()
@click.argument("run", default="latest")
@click.option("--limit", type=click.IntRange(min=0), default=20, show_default=True, help="Rows to show; 0 shows all.")
@click.option("--to", metavar="FILE", callback=local_path, help="Write all rows to a .csv instead.")
@store_options
def labels(store: "RunStore", run: str, limit: int, to: str | None, as_json: bool) -> None:
    """List the photos of RUN with doubtful labels.

    RUN is an id, an unambiguous part of one, latest, or latest~1. Review the photos, keep the rows with wrong labels in
    the .csv, and pass it to `run --relabel` or `run --exclude`.
    """
    found = store.find_run(run)
    summary, doubtful = found.label_review, found.doubtful_labels
    if summary is None:
        raise UserError(f"run {found.run_id} has no review of labels: LabelReviewer did not run or did not finish")
    if to is not None:
        _write(Path(to), doubtful)
        echo(f"Wrote {counted(len(doubtful), 'doubtful label')} to {to}")
        return
    if as_json:
        print_json(doubtful)
        return
    rows = table("photo", "split", "label", "", "suggested", "")
    for entry in doubtful[: limit or None]:
        own, other = percent(entry.label_probability), percent(entry.suggested_probability)
        rows.add_row(*map(escape, (entry.id, entry.split, entry.label, own, entry.suggested_label, other)))
    out = console()
    out.print(rows)
    total = sum(summary.photos.values())
    out.print(f"Doubtful labels: {len(doubtful):,} of {total:,}; --to FILE.csv writes them all.")


def _write(path: Path, doubtful: Sequence[DoubtfulLabel]) -> None:

    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, [field.name for field in dataclasses.fields(DoubtfulLabel)])
            writer.writeheader()
            writer.writerows(map(dataclasses.asdict, doubtful))
    except OSError as error:
        raise UserError(f"cannot write {path}: {reason_of(error)}; choose another file") from error
