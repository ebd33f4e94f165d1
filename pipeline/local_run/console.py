"""What a run shows on the terminal: a line per component, progress within it, a table at the end."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from components.common.text import counted
from pipeline.config import PipelineConfig
from pipeline.terminal import Terminal

_PLAIN_PROGRESS_SECONDS: Final = 5.0
# With the tick, a line comes at least every 10 seconds.
_HEARTBEAT_SECONDS: Final = 9.0
_TICK_SECONDS: Final = 1.0


class RunConsole:
    """Prints a run; implements `pipeline.local_run.runner.RunObserver`.

    On a terminal, what runs is a bar that disappears when it is done. Elsewhere it is a line at its start, lines on its
    progress, and a line after every 10 seconds without one.
    """

    def __init__(self, console: Console | None = None, clock: Callable[[], float] = time.monotonic):
        """Prints to a console, or to standard output."""
        self.console = console or Terminal(highlight=False, soft_wrap=True)
        self._progress = Progress(
            TextColumn("  {task.description}"), BarColumn(), TextColumn("{task.fields[count]}"), TimeElapsedColumn(),
            console=self.console, transient=True,
        )  # fmt: skip
        self._clock = clock
        self._title = ""
        self._running = ""
        self._ended = threading.Event()
        self._began = self._last_line = clock()
        self._task: TaskID | None = None
        self.cached_nodes: list[str] = []
        self.finished_nodes: list[str] = []
        self.failed_nodes: dict[str, Exception] = {}

    def starting(self) -> None:
        """Says at once that the run begins: to read photos and to import TensorFlow takes a while."""
        self._begin("Starting", "Starting ...")

    def configured(self, config: PipelineConfig) -> None:
        """Says what will run."""
        data = config.data.photos or config.data.dataset
        height, width = config.backbone.image_size
        self.stop()
        self._print(f"Pipeline {config.name}: {data} through {config.backbone.name} ({height}x{width})", markup=False)
        self._begin("Starting TensorFlow and TFX", "Starting TensorFlow and TFX ...")

    def node_started(self, node_id: str, position: int, total: int) -> None:
        self.stop()
        self._title = f"[{position:>2}/{total}] {node_id}"
        self._begin(node_id, f"{self._title} ...")

    def node_finished(self, node_id: str, seconds: float, cached: bool) -> None:
        self.stop()
        self.finished_nodes.append(node_id)
        if cached:
            self.cached_nodes.append(node_id)
        state = "[cyan]cached[/]" if cached else "[green]done[/]"
        self._print(f"{self._title:<44} {seconds:6.1f} s  {state}".replace("[ ", "\\[ ", 1))

    def node_failed(self, node_id: str, error: Exception) -> None:
        self.stop()
        self.failed_nodes[node_id] = error
        self._print(f"{self._title:<44} {'':8}  [red]failed[/]".replace("[ ", "\\[ ", 1))

    def stop(self) -> None:
        """Ends what is shown as running."""
        self._ended.set()
        if self._task is not None:
            self._progress.remove_task(self._task)
            self._task = None
            self._progress.stop()

    def message(self, text: str, level: int = logging.INFO) -> None:
        """Prints a line under the running component."""
        style = "yellow" if level >= logging.WARNING else None
        self._print(f"        {text}", style=style, markup=False)

    def progress(self, description: str, completed: int, total: int | None, unit: str) -> None:
        """Shows how far the running component has come."""
        count = counted(completed, unit.removesuffix("s")) if total is None else f"{completed:,} of {total:,} {unit}"
        if self._task is not None:
            self._progress.update(self._task, description=description, completed=completed, total=total, count=count)
        elif self._clock() - self._last_line >= _PLAIN_PROGRESS_SECONDS or completed == total:
            self.message(f"{description}: {count}")

    def beat(self) -> None:
        """Prints what is running, if nothing else was printed for a while."""
        now = self._clock()
        if not self._ended.is_set() and now - self._last_line >= _HEARTBEAT_SECONDS:
            self.message(f"{self._running}: {now - self._began:.0f} s so far")

    def _beat_until(self, ended: threading.Event) -> None:
        while not ended.wait(_TICK_SECONDS):
            self.beat()

    def _begin(self, running: str, line: str) -> None:
        self._running, self._began, self._ended = running, self._clock(), threading.Event()
        if self.console.is_terminal:
            self._progress.start()
            self._task = self._progress.add_task(running, total=None, count="")
        else:
            self._print(line, markup=False)
            threading.Thread(target=self._beat_until, args=(self._ended,), daemon=True).start()

    def _print(self, text: str, **options: Any) -> None:
        self._last_line = self._clock()
        self.console.print(text, **options)


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
