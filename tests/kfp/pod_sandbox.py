"""Runs a command in a file system of its own, in place of a container: `unshare --mount python pod_sandbox.py FILE`.

FILE is a JSON object: `root` (an empty folder, which becomes /), `mounts` (folders and files by their place in it, the
only ones that can be written), `shared` (folders that are seen as they are), `environment`, `cwd` and `command`. What
this machine has at /, but for /tmp and /run, is there read-only. Nothing of it is left when the command has ended.
"""

import ctypes
import json
import os
import sys
from pathlib import Path

_MS_RDONLY, _MS_REMOUNT, _MS_BIND, _MS_REC = 1, 32, 4096, 16384
# What a mount in a user namespace may not lose: nosuid, nodev, noexec, noatime.
_KEPT = 2 | 4 | 8 | 1024
_KERNEL = {"dev", "proc", "sys"}
_FRESH = {"tmp", "run"}

_libc = ctypes.CDLL(None, use_errno=True)


def main(description: Path) -> None:
    """Builds the root, enters it and becomes the command."""
    pod = json.loads(description.read_text())
    root = Path(pod["root"])
    for entry in os.scandir("/"):
        if entry.is_symlink():
            (root / entry.name).symlink_to(Path(entry.path).readlink())
        elif entry.is_dir() and entry.name not in _FRESH:
            _bind(Path(entry.path), root / entry.name, read_only=entry.name not in _KERNEL)
    for name in _FRESH:
        (root / name).mkdir(exist_ok=True)
    for folder in map(Path, pod["shared"]):
        if folder.parts[1] in _FRESH:
            _bind(folder, root / folder.relative_to("/"), read_only=True)
    for place, source in pod["mounts"].items():
        _bind(Path(source), root / Path(place).relative_to("/"))
    os.chroot(root)
    os.chdir(pod["cwd"])
    command = pod["command"]
    os.execvpe(command[0], command, pod["environment"])


def _bind(source: Path, target: Path, read_only: bool = False) -> None:
    if source.is_dir():
        target.mkdir(parents=True, exist_ok=True)
    _mount(str(source), str(target), _MS_BIND | _MS_REC)
    if read_only:
        kept = os.statvfs(target).f_flag & _KEPT
        _mount("none", str(target), _MS_BIND | _MS_REMOUNT | _MS_RDONLY | kept)


def _mount(source: str, target: str, flags: int) -> None:
    if _libc.mount(source.encode(), target.encode(), None, flags, None):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), target)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
