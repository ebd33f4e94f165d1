"""Safe extraction of untrusted photo archives. Imports neither TensorFlow nor Beam."""

import contextlib
import functools
import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Final

from components.common.errors import UserError

MAX_ENTRIES: Final = 100_000
MAX_EXPANDED_BYTES: Final = 20 * 2**30
# Photos hardly compress: only a zip bomb expands a hundredfold beyond its first gigabyte.
MAX_EXPANSION: Final = 100
FREE_EXPANSION_BYTES: Final = 2**30
_BLOCK_BYTES: Final = 2**20
_UTF8_FLAG: Final = 0x800
# The name of a file or folder, and a function that opens the file.
_Member = tuple[str, Callable[[], IO[bytes]] | None]
_CORRUPT = (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError, ValueError)


@dataclass
class _Budget:
    """The entries and bytes that an archive may still expand to."""

    remaining_entries: int
    remaining_bytes: int

    def spend(self, size: int, entries: int = 1) -> None:
        self.remaining_entries -= entries
        self.remaining_bytes -= size
        if self.remaining_entries < 0:
            raise UserError(f"it has more than {MAX_ENTRIES:,} entries; unpack it and give the folder")
        if self.remaining_bytes < 0:
            raise UserError("it expands to far more than its size or the free disk space allows (a zip bomb?)")


def extract_archive(archive: Path, folder: Path, is_wanted: Callable[[str], bool]) -> list[str]:
    """Extracts the files of a tar or zip archive whose relative path is wanted.

    Returns the other files, and the empty folders with / at the end. Never writes outside `folder`, and never a link.
    Raises UserError for a damaged archive, another kind of file, an absolute path, `..`, a symbolic link or a device,
    too many entries, or too many bytes; files extracted until then remain.
    """
    folder.mkdir(parents=True, exist_ok=True)
    size = archive.stat().st_size
    limit = min(MAX_EXPANDED_BYTES, max(FREE_EXPANSION_BYTES, MAX_EXPANSION * size), shutil.disk_usage(folder).free)
    budget = _Budget(remaining_entries=MAX_ENTRIES, remaining_bytes=limit)
    unwanted: list[str] = []
    folders, not_empty = set(), {PurePosixPath()}
    try:
        is_zip = zipfile.is_zipfile(archive)
        members = _zip_members(archive, budget) if is_zip else _tar_members(archive, budget, folder)
        for name, open_member in members:
            relative = _safe_path(name)
            not_empty.update(relative.parents)
            if open_member is None:
                folders.add(relative)
                continue
            if not is_wanted(relative.as_posix()):
                unwanted.append(relative.as_posix())
                continue
            target = folder / relative
            target.parent.mkdir(parents=True, exist_ok=True)
            with open_member() as content, target.open("wb") as file:
                shutil.copyfileobj(content, file, _BLOCK_BYTES)
    except UserError as error:
        raise UserError(f"{str(archive)!r} is not safe to unpack: {error}") from error
    except (*_CORRUPT, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise UserError(f"cannot unpack {str(archive)!r} to {str(folder)!r}: {error.strerror}") from error
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"cannot unpack {str(archive)!r}, expected an intact .tgz or .zip: {reason}") from error
    return unwanted + [f"{folder.as_posix()}/" for folder in sorted(folders - not_empty)]


def _safe_path(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise UserError(f"its entry {name!r} points outside of it")
    return path


def _tar_members(archive: Path, budget: _Budget, folder: Path) -> Iterator[_Member]:
    with tarfile.open(archive, "r:*") as tar:
        for info in tar:
            budget.spend(info.size)
            _safe_path(info.name)
            if info.islnk():  # Its target comes earlier in the archive.
                yield info.name, functools.partial(_open_extracted, folder / _safe_path(info.linkname), info, budget)
            elif info.isreg():
                tarfile.data_filter(info, str(archive.parent))
                yield info.name, functools.partial(tar.fileobject, tar, info)
            elif info.isdir():
                yield info.name, None
            else:
                raise UserError(f"its entry {info.name!r} is a link or a device")
        # tarfile stops at the end mark; the compressed stream's own checksum is behind it.
        while block := tar.fileobj.read(_BLOCK_BYTES):
            budget.spend(len(block), entries=0)


def _open_extracted(file: Path, link: tarfile.TarInfo, budget: _Budget) -> IO[bytes]:
    if not file.is_file():
        raise UserError(f"its entry {link.name!r} is a hard link to {link.linkname!r}, which is not a photo before it")
    budget.spend(file.stat().st_size, entries=0)
    return file.open("rb")


def _zip_members(archive: Path, budget: _Budget) -> Iterator[_Member]:
    with zipfile.ZipFile(archive) as zip_file:
        for info in zip_file.infolist():
            budget.spend(info.file_size)  # What zipfile reads at most, whatever the entry expands to.
            name = _zip_name(info)
            _safe_path(name)
            file_type = stat.S_IFMT(info.external_attr >> 16)
            if file_type not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise UserError(f"its entry {name!r} is a link or a device")
            yield name, None if name.endswith("/") else functools.partial(zip_file.open, info)


def _zip_name(info: zipfile.ZipInfo) -> str:
    """Returns an entry's name: macOS writes UTF-8 without the flag for it, .NET wrote backslashes for slashes."""
    name = info.filename
    if not info.flag_bits & _UTF8_FLAG:
        with contextlib.suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    return name if "/" in name else name.replace("\\", "/")
