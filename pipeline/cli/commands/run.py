"""`local_runner.py run`: the whole pipeline on this machine."""

import os
import sys
import time
from pathlib import Path
from typing import Any

import click

from components.modeling.backbones.registry import BACKBONES
from components.modeling.hyperparameters import FineTuning, Hyperparameters
from pipeline.beam_runners.beam_args import DIRECT, RUNNERS
from pipeline.cli.run_options import collect_run_options
from pipeline.config import ImageValidationConfig
from pipeline.presets import PRESETS, RunOptions

NOT_BLESSED_EXIT_STATUS = 3
_RECIPE = Hyperparameters()
_IMAGE_VALIDATION = ImageValidationConfig()
_FINE_TUNING = FineTuning()
_PRESET_HELP = "; ".join(f"{name}: {preset.summary}" for name, preset in PRESETS.items())


def _parse_size(_context: click.Context, _parameter: click.Parameter, value: str | None) -> tuple[int, int] | None:
    if value is None:
        return None
    height, _, width = value.lower().partition("x")
    if not (height.isdigit() and width.isdigit() and int(height) > 0 and int(width) > 0):
        raise click.BadParameter(f"{value!r} is not a size such as 224x224")
    return int(height), int(width)


@click.command()
@click.option("--preset", type=click.Choice(list(PRESETS)), default="quickstart", show_default=True, help=_PRESET_HELP)
@click.option("--photos", metavar="PATH", help="Your own photos: a folder or .tgz of class-named folders.")
@click.option("--dataset", metavar="NAME", help="Any TFDS image-classification dataset, instead of the preset's.")
@click.option("--data-dir", metavar="DIR", help="Where TFDS datasets are prepared.  [default: TFDS's own]")
@click.option("--num-photos", type=click.IntRange(min=1), default=1600, show_default=True, help="Photos to draw.")
@click.option(
    "--split-method",
    type=click.Choice(["count", "hash"]),
    default="count",
    show_default=True,
    help="count: exactly 50/25/25; hash: added photos move none of the others between splits.",
)
@click.option(
    "--max-quarantine-share",
    type=click.FloatRange(0, 1),
    default=_IMAGE_VALIDATION.max_quarantine_share,
    show_default=True,
    help="Share of unusable photos above which the run stops.",
)
@click.option(
    "--cross-split-duplicates",
    type=click.Choice(["drop_from_evaluation", "move_to_train", "keep"]),
    default=_IMAGE_VALIDATION.cross_split_duplicates,
    show_default=True,
    help="The same picture in several splits.",
)
@click.option(
    "--near-duplicate-distance",
    type=click.IntRange(max=10),
    default=_IMAGE_VALIDATION.near_duplicate_distance,
    show_default=True,
    help="Bits in which perceptual hashes of one picture may differ; 0: equal bytes only; -1: do not look.",
)
@click.option(
    "--backbone",
    metavar="NAME|URL|DIR",
    help=f"Feature extractor: {', '.join(BACKBONES)}, a TF Hub URL, or a SavedModel folder.  [default: the preset's]",
)
@click.option("--image-size", metavar="HxW", callback=_parse_size, help="For a backbone that takes any size.")
@click.option("--epochs", type=int, default=_RECIPE.epochs, show_default=True)
@click.option("--batch-size", type=int, default=_RECIPE.batch_size, show_default=True)
@click.option("--learning-rate", type=float, default=_RECIPE.learning_rate, show_default=True)
@click.option("--hidden-units", type=int, default=_RECIPE.hidden_units, show_default=True)
@click.option(
    "--early-stopping-patience",
    type=int,
    default=_RECIPE.early_stopping_patience,
    show_default=True,
    help="Epochs without a better validation accuracy before training stops; 0: never.",
)
@click.option("--seed", type=int, default=_RECIPE.seed, show_default=True, help="Same seed, same machine, same curve.")
@click.option(
    "--tune",
    "tuning_trials",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Try N settings of the head (hidden units, learning rate, batch size) and train with the best.",
)
@click.option("--fine-tune", is_flag=True, help="Train the backbone, too, once the head is trained.")
@click.option("--fine-tune-epochs", type=int, default=_FINE_TUNING.epochs, show_default=True)
@click.option("--fine-tune-learning-rate", type=float, default=_FINE_TUNING.learning_rate, show_default=True)
@click.option(
    "--fine-tune-layers",
    type=int,
    default=_FINE_TUNING.layers,
    metavar="N",
    show_default=True,
    help="Only the backbone's last N layers; 0: all of them.",
)
@click.option("--min-accuracy", type=float, help="Test accuracy needed for a blessing.  [default: the preset's]")
@click.option("--max-accuracy-drop", type=float, help="Allowed drop below the latest blessed model.  [default: 0.02]")
@click.option(
    "--export-tflite", is_flag=True, help="Convert a blessed model to TFLite (float16 and int8), and measure both."
)
@click.option("--output", metavar="DIR", default="output", show_default=True, help="Everything is written below it.")
@click.option(
    "--metadata",
    metavar="URI",
    default="",
    help="ML Metadata elsewhere than in --output: sqlite:PATH, mysql://USER@HOST/DATABASE or grpc://HOST:PORT; the "
    "password is read from FLOWERS_METADATA_PASSWORD.",
)
@click.option(
    "--beam-runner",
    metavar="NAME",
    default=DIRECT,
    show_default=True,
    help=f"What runs the Beam components: {', '.join(RUNNERS)}, or a Beam runner's own name, such as SparkRunner.",
)
@click.option(
    "--beam-workers", type=click.IntRange(min=0), default=0, metavar="N", help="Workers.  [default: one per CPU]"
)
@click.option(
    "--beam-arg", "beam_args", multiple=True, metavar="--X=Y", help="One more Beam option, as --beam-arg=--x=y."
)
@click.option("--no-cache", is_flag=True, help="Compute everything again.")
@click.option("--verbose", is_flag=True, help="Show the logs of TensorFlow, TFX and Beam as well.")
def run(preset: str, output: str, no_cache: bool, verbose: bool, **options: Any) -> None:
    """Ingest, validate, transform, extract features, train, evaluate, and push if blessed.

    Exit status: 0 pushed, 1 failed, 2 wrong usage, 3 not blessed (nothing was pushed).
    """
    from pipeline.local_run.logs import configure_logging

    run_options = collect_run_options(
        _output_folder(output), {"preset": preset, "enable_cache": not no_cache, **options}
    )
    from pipeline.local_run.console import RunConsole

    console = RunConsole()
    log_file = Path(run_options.output) / "logs" / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.log"
    configure_logging(console, log_file, verbose)
    sys.exit(_run(run_options, console, log_file, verbose))


def _output_folder(output: str) -> str:
    from components.common.errors import UserError

    path = Path(output).expanduser().resolve()
    try:
        path.mkdir(parents=True, exist_ok=True)
        (path / "logs").mkdir(exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot write to --output {output}: {error.strerror}; choose another folder") from error
    return str(path)


def _run(options: RunOptions, console: Any, log_file: Path, verbose: bool) -> int:
    from pipeline.local_run.failures import report_failure
    from pipeline.local_run.lock import exclusive
    from pipeline.local_run.scratch import scratch_folder

    try:
        if options.metadata:
            from pipeline.history.connection import check_recordable, connect, connection_config

            # A server that is down is reported now, not after the data was looked at.
            connection = connection_config(options.metadata)
            check_recordable(connection)
            connect(connection)
        with exclusive(options.output), scratch_folder(options.output):
            return _run_alone(options, console)
    except KeyboardInterrupt:
        console.stop()
        console.console.print("interrupted: finished components are kept; the same command goes on from there")
        return 130
    except Exception as error:
        console.stop()
        return report_failure(error, console, log_file, verbose)


def _run_alone(options: RunOptions, console: Any) -> int:
    from pipeline.beam_runners.beam_args import prepare
    from pipeline.presets import build_config

    # Before TFX is imported, which takes long: wrong input is told at once.
    config = build_config(options)
    prepare(config.beam_args, config.output)
    console.configured(config)
    import psutil

    from pipeline.history.store import open_store
    from pipeline.local_run import runner as local
    from pipeline.local_run.outcome import print_outcome
    from pipeline.local_run.recovery import recovering
    from pipeline.report.write import write_report_after_run

    with recovering(config):
        run_id = local.run(config, console)
    finished = open_store(config.output, config.metadata).run(run_id)
    print_outcome(console, config, finished, time.time() - psutil.Process().create_time())
    console.console.print(f"Report:          {write_report_after_run(finished)}", markup=False)
    return 0 if finished.blessed else NOT_BLESSED_EXIT_STATUS
