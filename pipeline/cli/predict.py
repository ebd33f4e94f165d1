"""`local_runner.py predict`: classify photos with a pushed model."""

import csv
import dataclasses
import itertools
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource
from rich.bar import Bar
from rich.markup import escape
from rich.table import Table

from components.common.text import counted, printable
from components.contracts.familiarity import FAMILIARITY_OUTPUT
from pipeline.cli.batch_prediction import batch_options, predict_batch
from pipeline.cli.group import echo
from pipeline.cli.run_options import SectionedCommand, beam_options
from pipeline.cli.store_options import console, output_option, print_json
from pipeline.prediction.prediction_files import text

if TYPE_CHECKING:
    from components.photos.photo_set import UnusedFile
    from pipeline.prediction.served_model import Classification

_BAR_WIDTH = 20
_COLUMNS = ("photo", "rank", "class", "probability", "error", FAMILIARITY_OUTPUT, "unfamiliar")
_TOP = 3


@beam_options
@click.command(cls=SectionedCommand)
@click.argument("photos", metavar="PHOTO|FOLDER|GLOB|URI...", nargs=-1)
@output_option("The --output of the runs.")
@click.option(
    "--model",
    metavar="DIR|URI",
    help="A SavedModel or a folder of versions, here or in a bucket.  [default: the latest pushed one]",
)
@click.option("--top", type=click.IntRange(min=1), help="Classes to show per photo.  [default: 3]")
@click.option("--json", "form", flag_value="json", help="Print JSON.")
@click.option("--csv", "form", flag_value="csv", help=f"Print CSV: {', '.join(_COLUMNS)}.")
@batch_options
def predict(
    photos: tuple[str, ...], output: str, model: str | None, top: int | None, form: str | None, **batch: Any
) -> None:
    """Classify photos with the latest pushed model.

    Photos are files, folders, globs, .csv or .jsonl manifests, http(s):// addresses, and objects or prefixes of
    gs:// and s3://. A photo that differs from the training photos more than nearly all validation photos do is marked
    as unfamiliar. Unreadable photos are reported, the others are classified, and the exit status is 1.

    For many photos, use --input (a folder, a glob, a manifest, or a prefix) and --to (a folder or prefix for the
    predictions, one row per photo). After an interruption, the same command resumes.
    """
    folder = Path(output).expanduser().absolute()
    if batch["source"] or batch["target"]:
        if photos or top or form:
            raise click.UsageError("PHOTO..., --top, --json and --csv do not go with --input and --to")
        sys.exit(predict_batch(folder, model, **batch))
    if not photos:
        raise click.UsageError("name photos, or give --input and --to")
    context = click.get_current_context()
    for name in batch:
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"--{name.replace('_', '-')} needs --input and --to")
    _predict_here(photos, folder, model, top or _TOP, form)


def _predict_here(photos: tuple[str, ...], output: Path, model: str | None, top: int, form: str | None) -> None:
    from components.photos.photo_set import describe_unused
    from components.storage.objects import is_remote
    from pipeline.local_run.logs import divert_native_output
    from pipeline.prediction.model_folder import find_model
    from pipeline.prediction.photo_inputs import read_photos
    from pipeline.prediction.photo_listing import list_photos
    from pipeline.prediction.served_model import Classification, ServedModel

    path = find_model(output, model)
    named = list_photos(photos)
    # stderr: standard output is for the answer alone.
    if named.left_out:
        listed = "" if form == "json" else " (--json lists them)"
        echo(f"{describe_unused(named.left_out)}{listed}", err=True)
    if named.missing:
        echo(f"Not found: {counted(len(named.missing), 'photo')}, such as {named.missing[0]!r}", err=True)
    inputs = read_photos(named.photos)
    checked = []
    for photo in inputs:
        checked.append(photo)
        if photo.error is None:
            break
    else:
        # Without a usable photo, neither TensorFlow nor the model is needed.
        _print([Classification(photo.name, [], photo.error) for photo in checked], path, form, named.left_out)
        sys.exit(1)
    copied = f", copied from {model}" if model and is_remote(model) else ""
    echo(f"Model: {path}{copied} (loading TensorFlow ...)", err=True)
    divert_native_output(None)
    predictions = [
        dataclasses.replace(prediction, classes=prediction.classes[:top])
        for prediction in ServedModel(path).classify(itertools.chain(checked, inputs))
    ]
    _print(predictions, path, form, named.left_out)
    if any(prediction.error for prediction in predictions):
        sys.exit(1)


def _print(predictions: "list[Classification]", path: Path, form: str | None, left_out: "Sequence[UnusedFile]") -> None:
    if form == "json":
        not_used = {"not_used": [{"file": file.path, "reason": file.kind} for file in left_out]} if left_out else {}
        answers = [_content(prediction) for prediction in predictions]
        print_json({"model": str(path), "predictions": answers} | not_used)
    elif form == "csv":
        _print_csv(predictions)
    else:
        _print_table(predictions)


def _content(prediction: "Classification") -> dict[str, object]:
    if prediction.error:
        return {"photo": prediction.photo, "error": prediction.error}
    classes = [{"class": name, "probability": probability} for name, probability in prediction.classes]
    told = {FAMILIARITY_OUTPUT: prediction.familiarity, "unfamiliar": prediction.unfamiliar}
    return {"photo": prediction.photo, "classes": classes} | {k: v for k, v in told.items() if v is not None}


def _print_csv(predictions: "Iterable[Classification]") -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for prediction in predictions:
        if prediction.error:
            writer.writerow([printable(text(prediction.photo)), "", "", "", prediction.error, "", ""])
        told = ["", ""]
        if prediction.familiarity is not None:
            told = [f"{prediction.familiarity:.6f}", "yes" if prediction.unfamiliar else "no"]
        for rank, (name, probability) in enumerate(prediction.classes, start=1):
            writer.writerow([printable(text(prediction.photo)), rank, printable(name), f"{probability:.6f}", "", *told])


def _print_table(predictions: "Iterable[Classification]") -> None:
    table = Table()
    # Folded, never cut: two photos in one deep folder differ at the end of their paths.
    table.add_column("photo", overflow="fold")
    table.add_column("class", overflow="fold")
    table.add_column("probability", justify="right")
    table.add_column("", width=_BAR_WIDTH)
    for prediction in predictions:
        name = escape(text(prediction.photo))
        if prediction.error:
            table.add_row(name, f"[red]{escape(prediction.error)}[/]")
        if prediction.unfamiliar:
            table.add_row(name, "[yellow]unfamiliar; if anything:[/]")
        for rank, (class_name, probability) in enumerate(prediction.classes):
            photo = name if rank == 0 and not prediction.unfamiliar else ""
            bar = "" if prediction.unfamiliar else Bar(1, 0, probability, color="cyan")
            style = "dim" if prediction.unfamiliar else None
            table.add_row(photo, escape(class_name), f"{probability:.1%}", bar, style=style)
        table.add_section()
    console().print(table)
