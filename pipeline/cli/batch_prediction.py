"""`predict --input ... --to ...`: batch prediction on Beam."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from components.common.errors import UserError
from pipeline.cli.run_options import collect_beam_options
from pipeline.prediction.prediction_files import FORMATS, to_not_used

if TYPE_CHECKING:
    from pipeline.local_run.console import RunConsole
    from pipeline.prediction.batch_job import ShardPlan

_PHOTOS_PER_FILE = 2000
_DEFAULT_FORMAT = next(iter(FORMATS))


def batch_options(command: Callable[..., None]) -> Callable[..., None]:
    """Adds the options of batch prediction, without those of Beam."""
    for option in (
        click.option(
            "--photos-per-file",
            type=click.IntRange(min=1),
            help=f"Photos per file.  [default: {_PHOTOS_PER_FILE}]",
        ),
        click.option("--format", type=click.Choice(list(FORMATS)), help=f"File format.  [default: {_DEFAULT_FORMAT}]"),
        click.option("--to", "target", metavar="URI", help="Folder or prefix for the predictions."),
        click.option("--input", "source", metavar="URI", help="Photos to classify: see above."),
    ):
        command = option(command)
    return command


def predict_batch(output: Path, model: str | None, *, source: str | None, target: str | None, **options: Any) -> int:
    """Classifies the photos of `source` into files of `target`, or resumes an interrupted start.

    `model` None is the latest pushed model, or that of the interrupted start. `options` are `format`,
    `photos_per_file` and those of Beam; None is not given. Returns the exit status.
    """
    from pipeline.beam_runners.beam_args import prepare
    from pipeline.local_run.console import RunConsole
    from pipeline.local_run.failures import report_failure
    from pipeline.local_run.logs import configure_logging, divert_native_output
    from pipeline.prediction.model_folder import find_model
    from pipeline.prediction.photo_listing import absolute, check_local

    if not source or not target:
        raise click.UsageError("--input and --to need each other: the photos, and where to write the predictions")
    asked = {name: options.pop(name) for name in ("format", "photos_per_file")}
    args = collect_beam_options(**options).to_args()
    found = find_model(output, model)
    # Without --model, a resumed start keeps the first start's model, even if another was pushed since.
    asked |= {"input": absolute(source), "model": str(found) if model else None}
    check_local(asked["input"])
    for place in (asked["input"], absolute(target)):
        prepare(args, place)
    console = RunConsole()
    log_file = output / "logs" / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}-predict.log"
    configure_logging(console, log_file, verbose=False)
    divert_native_output(log_file)
    console.console.print("Starting TensorFlow and Beam ...")
    try:
        return _run(absolute(target), found, asked, args, console)
    except KeyboardInterrupt:
        console.console.print("interrupted: finished files are kept; run the same command to resume")
        return 130
    except Exception as error:
        return report_failure(error, console, log_file, verbose=False)


def _run(target: str, model: Path, asked: dict[str, Any], args: tuple[str, ...], console: "RunConsole") -> int:
    from components.common.errors import UserError, storage_errors
    from components.storage.tfx_filesystem import register_buckets
    from pipeline.prediction.batch_job import UNREADABLE_FILE, check_same, read_plan, run_batch

    started = time.monotonic()
    register_buckets()
    with storage_errors(f"cannot write to --to {target}"):
        plan = read_plan(target)
        if plan:
            check_same(plan, target, **asked)
        else:
            plan = _make_plan(target, model, asked, console)
        to_do = plan.to_do(target)
    out = console.console
    out.print(f"Model:       {plan.model}", markup=False)
    out.print(f"Photos:      {plan.photos:,}, in files of {plan.photos_per_file:,}: {plan.shards:,}", markup=False)
    if finished := plan.shards - len(to_do):
        out.print(f"Resuming:    {finished:,} of {plan.shards:,} files already exist", markup=False)
    outcome = run_batch(target, plan, args)
    out.print(f"Predictions: {target}/predictions-*.{plan.format} ({outcome.predicted:,} photos)", markup=False)
    if outcome.unreadable:
        out.print(
            f"Unreadable:  {target}/{UNREADABLE_FILE} ({outcome.unreadable:,} photos)", style="yellow", markup=False
        )
    out.print(f"Time:        {time.monotonic() - started:.0f} s")
    if not outcome.predicted:
        raise UserError(f"no photo could be read: {target}/{UNREADABLE_FILE} lists the reasons")
    return 1 if outcome.unreadable else 0


def _make_plan(target: str, model: Path, asked: dict[str, Any], console: "RunConsole") -> "ShardPlan":
    """Lists the photos and assigns them to shards."""
    from components.photos.photo_set import UnusedFile, describe_unused
    from pipeline.prediction.batch_job import NOT_USED_FILE, ShardPlan, make_plan, stage_model, write_file
    from pipeline.prediction.photo_listing import list_input

    plan = ShardPlan(
        input=asked["input"],
        model=str(model),
        served_from=stage_model(str(model), target),
        format=asked["format"] or _DEFAULT_FORMAT,
        photos_per_file=asked["photos_per_file"] or _PHOTOS_PER_FILE,
    )
    left_out: list[UnusedFile] = []
    plan = make_plan(target, list_input(plan.input, left_out.append), plan)
    not_used = describe_unused(left_out)
    if not plan.photos:
        raise UserError(f"no photos at {asked['input']!r}{'; ' if not_used else ''}{not_used}")
    if not_used:
        write_file(target, NOT_USED_FILE, to_not_used(left_out))
        console.message(f"{not_used}; {target}/{NOT_USED_FILE} lists them")
    return plan
