"""`local_runner.py predict`: what a pushed model makes of photos."""

import csv
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.cli.store_options import console, print_json

if TYPE_CHECKING:
    from pipeline.prediction.served_model import Classification

_BAR_WIDTH = 20


@click.command()
@click.argument("photos", metavar="PHOTO|FOLDER|URL...", nargs=-1, required=True)
@click.option("--output", metavar="DIR", default="output", show_default=True, help="The --output of the runs.")
@click.option("--model", metavar="DIR", help="A SavedModel or a folder of versions.  [default: the latest pushed one]")
@click.option("--top", type=click.IntRange(min=1), default=3, show_default=True, help="Classes to show per photo.")
@click.option("--json", "form", flag_value="json", help="Print JSON.")
@click.option("--csv", "form", flag_value="csv", help="Print CSV: photo, rank, class, probability, error.")
def predict(photos: tuple[str, ...], output: str, model: str | None, top: int, form: str | None) -> None:
    """Classify photos with the latest pushed model.

    A photo that cannot be read is reported and the others are still answered; the exit status is 1 then.
    """
    from pipeline.local_run.logs import divert_native_output
    from pipeline.prediction.photo_inputs import list_photos, read_photos
    from pipeline.prediction.served_model import ServedModel, find_model

    path = find_model(Path(output).expanduser().absolute(), model)
    names = list_photos(photos)
    # stderr: standard output is for the answer alone.
    click.echo(f"Model: {path} (loading TensorFlow ...)", err=True)
    divert_native_output(None)
    served = ServedModel(path)
    predictions = [
        type(prediction)(prediction.photo, prediction.classes[:top], prediction.error)
        for prediction in served.classify(read_photos(names))
    ]
    if form == "json":
        print_json({"model": str(path), "predictions": [_content(prediction) for prediction in predictions]})
    elif form == "csv":
        _print_csv(predictions)
    else:
        _print_table(predictions)
    if any(prediction.error for prediction in predictions):
        sys.exit(1)


def _content(prediction: "Classification") -> dict[str, object]:
    if prediction.error:
        return {"photo": prediction.photo, "error": prediction.error}
    classes = [{"class": name, "probability": probability} for name, probability in prediction.classes]
    return {"photo": prediction.photo, "classes": classes}


def _print_csv(predictions: "Iterable[Classification]") -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["photo", "rank", "class", "probability", "error"])
    for prediction in predictions:
        if prediction.error:
            writer.writerow([prediction.photo, "", "", "", prediction.error])
        for rank, (name, probability) in enumerate(prediction.classes, start=1):
            writer.writerow([prediction.photo, rank, name, f"{probability:.6f}", ""])


def _print_table(predictions: "Iterable[Classification]") -> None:
    from rich.bar import Bar
    from rich.markup import escape
    from rich.table import Table

    table = Table()
    # Folded, never cut: two photos in one deep folder differ at the end of their paths.
    table.add_column("photo", overflow="fold")
    table.add_column("class", overflow="fold")
    table.add_column("probability", justify="right")
    table.add_column("", width=_BAR_WIDTH)
    for prediction in predictions:
        if prediction.error:
            table.add_row(escape(prediction.photo), f"[red]{escape(prediction.error)}[/]")
        for rank, (name, probability) in enumerate(prediction.classes):
            photo = escape(prediction.photo) if rank == 0 else ""
            table.add_row(photo, escape(name), f"{probability:.1%}", Bar(1, 0, probability, color="cyan"))
        table.add_section()
    console().print(table)
