"""A metadata store opened for reading: its runs, and where their files are."""

import functools
import re
from pathlib import Path

import ml_metadata as mlmd

from components.common.errors import UserError
from components.contracts import output_folder
from pipeline.records.connection import connect, connection_config
from pipeline.records.records import ExecutionRecord, pipeline_names, run_executions
from pipeline.records.run import Run

_LATEST = re.compile(r"latest(?:~(?P<back>\d+))?")


class RunStore:
    """The runs of one store; each is read once, when it is first asked for."""

    def __init__(self, metadata: mlmd.MetadataStore, output: Path):
        """Wraps a store.

        Args:
            metadata: The metadata store.
            output: The folder that runs wrote to, or a copy of it.
        """
        self._metadata = metadata
        self.output = output
        self.run = functools.cache(self._run)

    @functools.cached_property
    def pipeline_names(self) -> dict[str, str]:
        """The pipeline of every run, by run id, oldest run first."""
        return pipeline_names(self._metadata)

    @property
    def runs(self) -> list[Run]:
        """Every run, oldest first."""
        return [self.run(run_id) for run_id in self.pipeline_names]

    def executions(self, run_id: str) -> dict[str, ExecutionRecord]:
        """Returns a run's executions by node id, in the order in which they ran."""
        return run_executions(self._metadata, run_id, self.locate)

    def find_run(self, text: str) -> Run:
        """Finds the run that a user means.

        Args:
            text: A run id, the unique beginning of one, `latest`, or `latest~N` for the N-th before it.

        Returns:
            The run.

        Raises:
            UserError: No run, or more than one, is meant.
        """
        run_ids = list(self.pipeline_names)
        if not run_ids:
            raise UserError(f"no run in the metadata store of {self.output}: start one with `local_runner.py run`")
        if match := _LATEST.fullmatch(text):
            back = int(match["back"] or 0)
            if back >= len(run_ids):
                raise UserError(f"{text}: there are only {len(run_ids)} runs; `runs` lists them")
            return self.run(run_ids[-1 - back])
        found = [run_id for run_id in run_ids if run_id.startswith(text)]
        if text in found or len(found) == 1:
            return self.run(text if text in found else found[0])
        if found:
            raise UserError(f"{text!r} begins {len(found)} run ids ({', '.join(found[:3])} ...): give more of it")
        raise UserError(f"no run {text!r}: `runs` lists them; `latest` is {run_ids[-1]}")

    def is_run(self, text: str) -> bool:
        """Tells whether a text names a run; an ambiguous beginning does."""
        return bool(_LATEST.fullmatch(text)) or any(run_id.startswith(text) for run_id in self.pipeline_names if text)

    def is_locked(self) -> bool:
        """Tells whether a run holds the output folder; taking the lock to see could turn a starting run away."""
        lock, held = self.output / output_folder.LOCK_FILE, Path("/proc/locks")
        if not lock.exists() or not held.exists():
            # Only Linux lists locks; elsewhere an unfinished run is taken to be running.
            return lock.exists()
        inode = f":{lock.stat().st_ino} "
        return any(" FLOCK " in line and inode in line for line in held.read_text().splitlines())

    def locate(self, uri: str) -> Path:
        """Returns where a recorded path is now.

        Args:
            uri: A path as ML Metadata recorded it.

        Returns:
            The same path below this output folder, which may have been copied, if there is anything: where it was
            copied from, another run may have taken its place since. Else the path itself.
        """
        for name in dict.fromkeys(self.pipeline_names.values()):
            for folder in (output_folder.PIPELINES_FOLDER, output_folder.SERVING_MODEL_FOLDER):
                # The last one: folders above the recorded output may have such names as well.
                _, found, below = uri.rpartition(f"/{folder}/{name}/")
                here = self.output / folder / name / below
                if found and here.exists():
                    return here
        return Path(uri)

    def _run(self, run_id: str) -> Run:
        return Run(self, run_id)


def open_store(output: str, metadata: str | None = None) -> RunStore:
    """Opens the metadata store of an output folder, read-only.

    Args:
        output: The folder that runs wrote to, or a copy of it.
        metadata: Another place of ML Metadata; empty or None is the output folder.

    Returns:
        The runs.

    Raises:
        UserError: There is no store, or it cannot be opened.
    """
    folder = Path(output).expanduser().absolute()
    database = folder / output_folder.METADATA_FILE
    if not metadata and not database.is_file():
        raise UserError(
            f"no metadata store in {folder} (no {database.name}): give the --output of a run, or start one with "
            "`local_runner.py run`"
        )
    config = connection_config(metadata or f"sqlite:{database}", read_only=True)
    return RunStore(connect(config), folder)
