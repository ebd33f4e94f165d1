"""What a run shows on the terminal: a line per component, progress within it, a table at the end."""

import logging
import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from pipeline.config import PipelineConfig

_PLAIN_PROGRESS_SECONDS = 5.0


class RunConsole:
    """Prints a run; implements `pipeline.local_run.runner.RunObserver`.

    On a terminal, progress is a bar that disappears when its component is done; elsewhere a line every few seconds.
    """

    def __init__(self, console: Console | None = None):
        """Prints to a console, or to standard output."""
        self.console = console or Console(highlight=False, soft_wrap=True)
        self._progress = Progress(
            TextColumn("  {task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
            console=self.console, transient=True,
        )  # fmt: skip
        self._title = ""
        self._task: TaskID | None = None
        self._last_plain = 0.0
        self.cached_nodes: list[str] = []
        self.finished_nodes: list[str] = []

    def configured(self, config: PipelineConfig) -> None:
        """Says what will run."""
        data = config.data.photos or config.data.dataset
        height, width = config.backbone.image_size
        self.console.print(
            f"Pipeline {config.name}: {data} through {config.backbone.name} ({height}x{width})", markup=False
        )
        self.console.print("Starting TensorFlow and TFX ...")

    def node_started(self, node_id: str, position: int, total: int) -> None:
        self._title = f"[{position:>2}/{total}] {node_id}"
        self._last_plain = time.monotonic()
        if self.console.is_terminal:
            self._progress.start()
            self._task = self._progress.add_task(node_id, total=None)

    def node_finished(self, node_id: str, seconds: float, cached: bool) -> None:
        self.stop()
        self.finished_nodes.append(node_id)
        if cached:
            self.cached_nodes.append(node_id)
        state = "[cyan]cached[/]" if cached else "[green]done[/]"
        self.console.print(f"{self._title:<44} {seconds:6.1f} s  {state}".replace("[ ", "\\[ ", 1), markup=True)

    def stop(self) -> None:
        """Removes the progress bar, if there is one."""
        if self._task is not None:
            self._progress.remove_task(self._task)
            self._task = None
            self._progress.stop()

    def message(self, text: str, level: int = logging.INFO) -> None:
        """Prints a line under the running component."""
        style = "yellow" if level >= logging.WARNING else None
        self.console.print(f"        {text}", style=style, markup=False)

    def progress(self, description: str, completed: int, total: int | None, unit: str) -> None:
        """Shows how far the running component has come."""
        if self._task is not None:
            self._progress.update(self._task, description=description, completed=completed, total=total)
            return
        now = time.monotonic()
        if now - self._last_plain >= _PLAIN_PROGRESS_SECONDS or completed == total:
            self._last_plain = now
            of_total = f" of {total}" if total is not None else ""
            self.message(f"{description}: {completed}{of_total} {unit}")


class ConsoleHandler(logging.Handler):
    """Sends this project's log records to a `RunConsole`."""

    def __init__(self, console: RunConsole):
        """Sends records to a console."""
        super().__init__(logging.INFO)
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        progress = getattr(record, "progress", None)
        if progress:
            self._console.progress(**progress)
        else:
            self._console.message(record.getMessage(), record.levelno)
