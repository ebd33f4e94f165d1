"""What is in a photo folder, whatever it is."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath


def find_class_root(folder: Path, is_photo: Callable[[PurePosixPath], bool]) -> Path:
    """Steps into single top-level folders: `flower_photos.tgz` holds its class folders in `flower_photos/`.

    Args:
        folder: The folder that the user gave.
        is_photo: Tells by its path whether a file is a photo.

    Returns:
        The folder that holds the class folders.
    """
    while True:
        folders = [entry for entry in folder.iterdir() if entry.is_dir() and not is_hidden(entry.name)]
        if len(folders) != 1 or not any(entry.is_dir() for entry in folders[0].iterdir()):
            return folder
        if any(is_photo(PurePosixPath(entry.name)) for entry in folders[0].iterdir()):
            return folder
        folder = folders[0]


def files_below(folder: Path, root: Path) -> Iterator[str]:
    """Yields the paths of all files of a folder, relative to it.

    Links to folders are not followed, because they may form a loop: they are yielded with a / at the end.

    Args:
        folder: A folder.
        root: It or a folder in it, which may be a link, too, and is followed.
    """
    for top in dict.fromkeys([folder, root]):
        for parent, folders, names in os.walk(top, onerror=_raise):
            relative = Path(parent).relative_to(folder)
            if top != root:
                folders[:] = [name for name in folders if Path(parent) / name != root]
            yield from ((relative / name).as_posix() for name in names)
            links = (name for name in folders if (Path(parent) / name).is_symlink())
            yield from (f"{(relative / name).as_posix()}/" for name in links)


def is_hidden(name: str) -> bool:
    """Tells whether a file or folder of this name is not meant to be seen."""
    return name.startswith(".") or name == "__MACOSX"


def _raise(error: OSError) -> None:
    raise error
