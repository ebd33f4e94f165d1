"""Files of a photo folder or rows of a manifest that are not used: which, why, and how a user hears of them."""

import hashlib
import os
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from components.common.contracts.quarantine import Action, QuarantineEntry, Reason
from components.example_gen.photo_folder.folder_files import is_hidden

_PHRASES: Final = {
    Reason.HIDDEN: "hidden",
    Reason.OUTSIDE_CLASS_FOLDERS: "outside class folders",
    Reason.NO_REGULAR_FILE: "no regular files (links to folders, broken links)",
    Reason.NO_LABEL: "without a label",
    Reason.DUPLICATE_PATH: "named before",
    Reason.LABEL_CONFLICT: "under two labels",
    Reason.MISSING_FILE: "missing",
}
_MAX_KINDS: Final = 8
_DIGEST_DIGITS: Final = 16


@dataclass(frozen=True)
class LeftOutFile:
    """A file that is not used.

    Attributes:
        path: Below the folder or archive that the user gave; that of a link to a folder ends in /. Or as a manifest
            has it.
        reason: Why.
        line: The manifest's line that names it; 0 without a manifest.
    """

    path: str
    reason: Reason
    line: int = 0

    def to_entry(self, suffixes: Iterable[str]) -> QuarantineEntry:
        """Returns its line of the quarantine listing; `suffixes` are those of photos."""
        detail = _PHRASES.get(self.reason) or f"{_suffix(self.path)}, not one of {', '.join(suffixes)}"
        if self.line:
            detail = f"{detail} (line {self.line})"
        text = os.fsencode(self.path).decode("utf-8", "backslashreplace")
        return QuarantineEntry(text, "", -1, "", Action.LEFT_OUT, self.reason, detail)


def find_left_out(
    files: Iterable[str],
    photos: Iterable[str],
    class_root: str,
    split_folders: Mapping[str, str],
    suffixes: Collection[str],
) -> tuple[LeftOutFile, ...]:
    """Tells why files are not used.

    Args:
        files: Paths of all files below the folder that the user gave.
        photos: Those that are used.
        class_root: Where in that folder the class folders are, or the split folders above them; empty or ending in /.
        split_folders: The top folders that are splits.
        suffixes: Those of photos.

    Returns:
        The files that are not used, sorted by path.
    """

    def reason(file: str) -> Reason:
        below = file.removeprefix(class_root)
        folders = below.split("/")[:-1]
        if any(is_hidden(part) for part in file.split("/")):
            return Reason.HIDDEN
        if file.endswith("/"):
            return Reason.NO_REGULAR_FILE
        if not file.startswith(class_root) or len(folders) <= bool(split_folders):
            return Reason.OUTSIDE_CLASS_FOLDERS
        if split_folders and folders[0] not in split_folders:
            return Reason.OUTSIDE_CLASS_FOLDERS
        return Reason.NO_REGULAR_FILE if _suffix(file) in suffixes else Reason.UNSUPPORTED_SUFFIX

    used = set(photos)
    return tuple(LeftOutFile(file, reason(file)) for file in sorted(files) if file not in used)


def describe_left_out(files: Sequence[LeftOutFile]) -> str:
    """Returns one line such as "12 files are not used: 9 .webp, 3 hidden"; empty when there are none."""
    if not files:
        return ""
    kinds = Counter(_PHRASES.get(file.reason) or _suffix(file.path) for file in files)
    most = sorted(kinds.items(), key=lambda item: (-item[1], item[0]))[:_MAX_KINDS]
    shares = [f"{count:,} {kind}" for kind, count in most]
    if rest := kinds.total() - sum(count for _, count in most):
        shares.append(f"{rest:,} others")
    return f"{len(files):,} {'file is' if len(files) == 1 else 'files are'} not used: {', '.join(shares)}"


def left_out_digest(files: Sequence[LeftOutFile]) -> str:
    """Returns a digest of the files but hidden ones, which come and go unnoticed; empty when there are none."""
    lines = [f"{file.path}\0{file.reason.value}" for file in files if file.reason is not Reason.HIDDEN]
    return hashlib.sha256(os.fsencode("\n".join(lines))).hexdigest()[:_DIGEST_DIGITS] if lines else ""


def _suffix(path: str) -> str:
    return PurePosixPath(path).suffix.lower() or "without a suffix"
