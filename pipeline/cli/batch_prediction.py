"""What `predict --input ... --to ...` does: its options, the plan, the job, and what is printed."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli.run_options import collect_beam_options
from pipeline.prediction.batch.prediction_files import FORMATS

if TYPE_CHECKING:
    from pipeline.local_run.console import RunConsole
    from pipeline.prediction.batch.shard_plan import ShardPlan

_PHOTOS_PER_FILE = 2000
_DEFAULT_FORMAT = next(iter(FORMATS))


def batch_options(command: Callable[..., None]) -> Callable[..., None]:
    """Adds the options of a batch, but for those of Beam."""
    for option in (
        click.option(
            "--photos-per-file", type=click.IntRange(min=1), help=f"Photos per file.  [default: {_PHOTOS_PER_FILE}]"
        ),
        click.option("--format", type=click.Choice(list(FORMATS)), help=f"Of --to.  [default: {_DEFAULT_FORMAT}]"),
        click.option("--to", "target", metavar="URI", help="A folder or prefix to write the answers to."),
        click.option("--input", "source", metavar="URI", help="Any number of photos: see above."),
    ):
        command = option(command)
    return command


def predict_batch(output: Path, model: str | None, *, source: str | None, target: str | None, **options: Any) -> int:
    """Classifies any number of photos, or goes on where an earlier start ended.

    Args:
        output: The folder that runs wrote to.
        model: As `find_model` takes it; None is the latest one that was pushed, or what an earlier start took.
        source: Folder, glob, manifest or prefix.
        target: Folder or prefix for the answers.
        **options: `format`, `photos_per_file`, and those of Beam; None is not given.

    Returns:
        The exit status.

    Raises:
        UserError: There is no model or no such input, or Beam's runner lacks something.
    """
    from pipeline.beam_runners.beam_args import prepare
    from pipeline.local_run.console import RunConsole
    from pipeline.local_run.failures import report_failure
    from pipeline.local_run.logs import configure_logging, divert_native_output
    from pipeline.prediction.batch.photo_listing import absolute, check_local
    from pipeline.prediction.model_folder import find_model

    if not source or not target:
        raise click.UsageError("--input and --to belong together: what to classify, and where to write the answers")
    asked = {name: options.pop(name) for name in ("format", "photos_per_file")}
    args = collect_beam_options(**options).to_args()
    found = find_model(output, model)
    # Where none is named, a second start takes the model of the first one, whatever was pushed since.
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
        console.console.print("interrupted: finished files are kept; the same command goes on from there")
        return 130
    except Exception as error:
        return report_failure(error, console, log_file, verbose=False)


def _run(target: str, model: Path, asked: dict[str, Any], args: tuple[str, ...], console: "RunConsole") -> int:
    from components.common.errors import UserError, storage_errors
    from components.storage.tfx_filesystem import register_buckets
    from pipeline.prediction.batch.batch_job import UNREADABLE_FILE, run_batch
    from pipeline.prediction.batch.shard_plan import check_same, read_plan

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
        out.print(f"Going on:    {finished:,} of {plan.shards:,} files are there already", markup=False)
    outcome = run_batch(target, plan, args)
    out.print(f"Predictions: {target}/predictions-*.{plan.format} ({outcome.predicted:,} photos)", markup=False)
    if outcome.unreadable:
        out.print(
            f"Unreadable:  {target}/{UNREADABLE_FILE} ({outcome.unreadable:,} photos)", style="yellow", markup=False
        )
    out.print(f"Time:        {time.monotonic() - started:.0f} s")
    if not outcome.predicted:
        raise UserError(f"none of the photos could be read: {target}/{UNREADABLE_FILE} says why")
    return 0


def _make_plan(target: str, model: Path, asked: dict[str, Any], console: "RunConsole") -> "ShardPlan":
    """Lists the photos and writes which are in which shard."""
    from components.common.errors import UserError
    from pipeline.prediction.batch.batch_job import stage_model
    from pipeline.prediction.batch.photo_listing import describe_not_used, list_input
    from pipeline.prediction.batch.shard_plan import ShardPlan, make_plan

    plan = ShardPlan(
        input=asked["input"],
        model=str(model),
        served_from=stage_model(str(model), target),
        format=asked["format"] or _DEFAULT_FORMAT,
        photos_per_file=asked["photos_per_file"] or _PHOTOS_PER_FILE,
    )
    left_out: list[str] = []
    plan = make_plan(target, list_input(plan.input, left_out.append), plan)
    not_used = describe_not_used(left_out)
    if not plan.photos:
        raise UserError(f"no photos at {asked['input']!r}{'; ' if not_used else ''}{not_used}")
    if not_used:
        console.message(not_used)
    return plan
