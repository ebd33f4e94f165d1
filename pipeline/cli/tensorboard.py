"""`local_runner.py tensorboard`: training curves, graph, sample predictions and features of every run, side by side."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

from components.common.errors import UserError
from components.common.text import counted
from components.contracts.nodes import FINE_TUNING
from components.contracts.output_folder import TRAINING_FOLDER
from pipeline.cli.group import echo
from pipeline.cli.store_options import output_option

if TYPE_CHECKING:
    from pipeline.records.store import Run, RunStore


@click.command()
@click.argument("runs", metavar="[RUN...]", nargs=-1)
@output_option("The --output of the runs.")
@click.option("--metadata", metavar="URI", help="ML Metadata elsewhere than in --output (see `run --help`).")
@click.option("--host", default="localhost", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=6006, show_default=True, help="0: any free port.")
def tensorboard(runs: tuple[str, ...], output: str, metadata: str | None, host: str, port: int) -> None:
    """Open TensorBoard on what the Trainer logged.

    It shows RUN..., by default all runs; Ctrl-C ends it. Scalars: training curves. Graphs: the classifier. Images and
    Text: sample predictions. Projector: the features of validation photos, with labels and thumbnails.
    """
    from pipeline.records.store import open_store

    store = open_store(output, metadata)
    folders = log_folders(store, [store.find_run(run) for run in runs])
    if not folders:
        raise UserError(f"nothing was trained yet in {store.output}: `runs` shows how far each run got")
    with tempfile.TemporaryDirectory(prefix="tensorboard-") as logdir:
        # TensorBoard names runs after folders, and artifact folders are named by number.
        for name, folder in folders.items():
            (Path(logdir) / name).symlink_to(folder.absolute(), target_is_directory=True)
        command = [sys.executable, "-m", "tensorboard.main", "--logdir", logdir, "--host", host, "--port", str(port)]
        echo(f"{counted(len(folders), 'training')}: {', '.join(folders)}")
        sys.exit(_serve(command))


def log_folders(store: "RunStore", runs: "list[Run]") -> dict[str, Path]:
    """Returns the log folders of `runs`; without `runs`, those of all runs and of unfinished training.

    Their names are the id of the run that trained, `RUN fine-tuning`, or `PIPELINE unfinished KEY`.
    """
    folders: dict[str, Path] = {}
    for run in runs or store.runs:
        for node_id, model_run in run.model_runs.items():
            # A cached model shares the folder of the run that trained it.
            if model_run.path.is_dir() and model_run.path not in folders.values():
                folders[f"{run.run_id} fine-tuning" if node_id == FINE_TUNING else run.run_id] = model_run.path
    if not runs:
        for logs in sorted((store.output / TRAINING_FOLDER).glob("*/*/logs")):
            folders[f"{logs.parent.parent.name} unfinished {logs.parent.name[:6]}"] = logs
    return folders


def _serve(command: list[str]) -> int:
    """Runs TensorBoard until it ends or this process is stopped, which also stops TensorBoard."""
    environment = os.environ | {"PYTHONWARNINGS": "ignore"}  # deprecations in TensorBoard's dependencies
    with subprocess.Popen(command, env=environment) as process:  # noqa: S603  (our own interpreter)

        def stop(_signal: int, _frame: FrameType | None) -> None:
            process.terminate()

        signal.signal(signal.SIGTERM, stop)
        try:
            return process.wait()
        except KeyboardInterrupt:
            process.terminate()
            return 0
