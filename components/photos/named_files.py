"""Files that the rows of a table name, written in other ways or as other machines and tools know them."""

import itertools
import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from components.photos.formats import ACCEPTED_SUFFIXES
from components.storage.objects import find_objects, is_remote, list_objects


@dataclass(frozen=True)
class Place:
    """Where the photo of a row is."""

    file: str  # a URI or a local path; the one that was looked for if there is none
    version: str = ""  # of an object in a bucket
    is_by_name: bool = False
    alternatives: Sequence[str] = ()  # the files that it may be, if there are several


def find_places(paths: Collection[str], base: str) -> dict[str, Place]:
    """Finds the files of rows, relative to the manifest's folder; if no row leads to one, by the ends of paths.

    Those are compared only then: `1.jpg` of a missing folder is another photo than that of one that is there.
    """
    places: dict[str, Place] = {}
    for spellings in (lambda path: [path], _spellings):
        files = {path: [file_of(each, base) for each in spellings(path)] for path in paths if path not in places}
        versions = find_objects([file for spelled in files.values() for file in spelled if is_remote(file)])
        for path, spelled in files.items():
            # Path.is_file may fail with text that is not a name.
            found = (file for file in spelled if file in versions or os.path.isfile(file))  # noqa: PTH113
            if file := next(found, ""):
                places[path] = Place(file, versions.get(file, ""))
    missing = {path: Place(file_of(path, base)) for path in paths if path not in places}
    return missing | (places or _find_by_name(paths, base))


def _spellings(path: str) -> list[str]:
    """Returns other ways to write a path that may be that of the file."""
    written = (path.replace("\\", "/"), unquote(path))
    forms = dict.fromkeys(unicodedata.normalize(form, text) for text in written for form in ("NFC", "NFD"))
    return [form for form in forms if form != path]


def file_of(path: str, base: str) -> str:
    """Returns the URI or the local path of a row."""
    if path.startswith("file://"):
        path = unquote(path.removeprefix("file://").removeprefix("localhost"))
    if is_remote(path):
        return path
    if is_remote(base) and not path.startswith("/"):
        return f"{base}/{path.removeprefix('./')}"
    # pathlib is slower for millions of photos.
    return os.path.normpath(os.path.join(base, os.path.expanduser(path)))  # noqa: PTH111, PTH118


def _find_by_name(paths: Iterable[str], base: str) -> dict[str, Place]:
    """Finds photos below a folder by the ends of their paths, which need not have a suffix.

    The folders of one path have to end in those of the other, but for Label Studio's own. Of several files, those with
    most folders in common count.
    """
    if is_remote(base):
        versions = dict(list_objects(base))
    else:
        versions = {file.relative_to(base).as_posix(): "" for file in Path(base).rglob("*")}
    by_name: dict[str, list[tuple[list[str], str]]] = defaultdict(list)
    for file in versions:
        parts = _comparable_parts(file)
        name = PurePosixPath(parts[-1])
        if name.suffix in ACCEPTED_SUFFIXES and not any(part.startswith((".", "__macosx")) for part in parts):
            by_name[name.name].append((parts, file))
            by_name[name.stem].append((parts, file))
    places = {}
    for path in paths:
        parts = _comparable_parts(unquote(path).rpartition("?d=")[2].replace("\\", "/"))
        is_label_studio = "/upload/" in path or "?d=" in path
        # Label Studio puts eight digits before the name of what it stores.
        names = (parts[-1], re.sub("^[0-9a-f]{4,8}-", "", parts[-1]) if is_label_studio else "")
        candidates = next(filter(None, map(by_name.get, names)), [])
        found = [(_common_folders(parts, others), others, file) for others, file in candidates]
        found = [each for each in found if is_label_studio or each[0] == min(len(parts), len(each[1])) - 1]
        nearest = [file for common, _, file in found if common == max(found)[0]]
        if len(nearest) == 1:
            places[path] = Place(file_of(nearest[0], base), versions[nearest[0]], is_by_name=True)
        elif nearest:
            places[path] = Place(file_of(path, base), alternatives=sorted(nearest))
    return places


def _comparable_parts(path: str) -> list[str]:
    """Returns the parts of a path as they are compared; tools replace blanks, and Windows ignores case."""
    return unicodedata.normalize("NFC", path).casefold().replace(" ", "_").split("/")


def _common_folders(parts: Sequence[str], others: Sequence[str]) -> int:
    pairs = zip(parts[-2::-1], others[-2::-1], strict=False)
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
