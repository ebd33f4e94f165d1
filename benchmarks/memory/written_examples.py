"""Peak memory of writing examples in process: `python -m benchmarks.memory.written_examples --examples 102400`."""

import os
import resource
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import apache_beam as beam
import click

from components.storage.examples_io import KeyedExample, WriteExamples, shards_for

_BYTES: Final = 5200  # as an example of 1,280 features has
_DRAWN_AT_ONCE: Final = 256


@click.command()
@click.option("--examples", type=int, default=25_600, show_default=True)
@click.option("--shuffled", is_flag=True, help="Leave it to the engine to keep them, as for an output in a bucket.")
def main(examples: int, shuffled: bool) -> None:
    """Writes random examples and prints the peak memory above that of the imports."""
    before = _peak_mb()
    with tempfile.TemporaryDirectory(prefix="flowers-memory-") as temporary:
        uri = f"file://{temporary}/split" if shuffled else str(Path(temporary, "split"))
        with beam.Pipeline(runner="apache_beam.runners.portability.fn_api_runner.FnApiRunner") as pipeline:
            starts = pipeline | beam.Create(list(range(0, examples, _DRAWN_AT_ONCE)))
            _ = starts | beam.FlatMap(_draw) | WriteExamples(uri, shards_for(examples))
    click.echo(f"{examples:,} examples: {_peak_mb() - before:,.0f} MB above the {before:,.0f} MB of the imports")


def _draw(start: int) -> Iterator[KeyedExample]:
    for number in range(start, start + _DRAWN_AT_ONCE):
        yield b"%08d" % number, os.urandom(_BYTES)


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


if __name__ == "__main__":
    main()
