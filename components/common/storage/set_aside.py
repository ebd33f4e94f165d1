"""Bytes that wait in local files while only their places are shuffled."""

import shutil
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path

import apache_beam as beam

Aside = tuple[str, int, int]  # (file, offset, length)


class SetAsideFn(beam.DoFn):
    """Turns (key, bytes) into (key, `Aside`)."""

    def __init__(self, folder: str) -> None:
        """Remembers the folder.

        Args:
            folder: A local one that all workers see; made when missing. Every worker has files of its own there.
        """
        self._folder = folder

    def setup(self) -> None:
        Path(self._folder).mkdir(parents=True, exist_ok=True)
        self._file = Path(self._folder, uuid.uuid4().hex).open("wb")  # noqa: SIM115 (closed by teardown)

    def process(self, element: tuple[bytes, bytes]) -> Iterator[tuple[bytes, Aside]]:
        key, content = element
        yield key, (self._file.name, self._file.tell(), len(content))
        self._file.write(content)

    def finish_bundle(self) -> None:
        # Whoever is told of the places may read them from now on.
        self._file.flush()

    def teardown(self) -> None:
        self._file.close()


def read_set_aside(place: Aside) -> bytes:
    """Reads bytes back.

    Args:
        place: From `SetAsideFn`.
    """
    path, offset, length = place
    with Path(path).open("rb") as file:
        file.seek(offset)
        return file.read(length)


def remove_set_aside(folder: str, _read: Iterable[object]) -> None:
    """Removes what is set aside.

    Args:
        folder: Given to `SetAsideFn`.
        _read: What was made of it: a step with this side input waits for it.
    """
    shutil.rmtree(folder, ignore_errors=True)
