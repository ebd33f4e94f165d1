"""A metadata store opened for reading, and the files that its artifacts left."""

import functools
import re
from pathlib import Path

from components.common.errors import UserError
from pipeline.history.records import ExecutionRecord, MetadataQueries

_LATEST = re.compile(r"latest(?:~(?P<back>\d+))?")
# What a run makes directly below its output folder; everything after one of these moves along with the folder.
_OUTPUT_FOLDERS = ("pipelines", "serving_model", "training", "datasets")


class RunStore:
    """The runs of one store; each is read once, when it is first asked for."""

    def __init__(self, queries: MetadataQueries, output: Path):
        """Wraps a store.

        Args:
            queries: The metadata store.
            output: The folder that runs wrote to, or a copy of it.
        """
        self._queries = queries
        self.output = output
        self.executions = functools.cache(queries.run_executions)

    @functools.cached_property
    def pipeline_names(self) -> dict[str, str]:
        """The pipeline of every run, by run id, oldest run first."""
        return self._queries.pipeline_names()

    def resolve_run(self, text: str) -> str:
        """Finds the run that a user means.

        Args:
            text: A run id, the unique beginning of one, `latest`, or `latest~N` for the N-th before it.

        Returns:
            The run's id.

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
            return run_ids[-1 - back]
        found = [run_id for run_id in run_ids if run_id.startswith(text)]
        if text in found or len(found) == 1:
            return text if text in found else found[0]
        if found:
            raise UserError(f"{text!r} begins {len(found)} run ids ({', '.join(found[:3])} ...): give more of it")
        raise UserError(f"no run {text!r}: `runs` lists them; `latest` is {run_ids[-1]}")

    def is_run(self, text: str) -> bool:
        """Tells whether a text names a run; an ambiguous beginning does."""
        return bool(_LATEST.fullmatch(text)) or any(run_id.startswith(text) for run_id in self.pipeline_names if text)

    def all_executions(self) -> list[tuple[str, ExecutionRecord]]:
        """Returns every execution with its run's id, in the order in which they began."""
        pairs = [(run_id, record) for run_id in self.pipeline_names for record in self.executions(run_id).values()]
        return sorted(pairs, key=lambda pair: pair[1].id)

    def locate(self, uri: str) -> Path:
        """Returns where a recorded path is now.

        Args:
            uri: A path as ML Metadata recorded it.

        Returns:
            The path itself if it exists; else the same path below the output folder, which may have been copied.
        """
        path = Path(uri)
        moved = self.below_output(uri)
        return path if path.exists() or moved is None else moved

    def below_output(self, uri: str) -> Path | None:
        """Returns a recorded path's place in this output folder; None for a path outside of any output folder."""
        parts = Path(uri).parts
        for index, part in enumerate(parts):
            if part in _OUTPUT_FOLDERS and (self.output / part).is_dir():
                return self.output.joinpath(*parts[index:])
        return None
