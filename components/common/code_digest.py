"""Content digests of this project's code, for cache keys.

TFX's cache key holds the name of a function or executor, not its code. This digest covers this project's files that the
code imports, and the versions of the libraries that it imports: after an edit or an upgrade, a component runs again.
"""

import ast
import functools
import hashlib
import importlib
import importlib.metadata
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

_ROOT: Final = Path(__file__).resolve().parents[2]
_OWN_PACKAGE: Final = "components"


def code_digest(*modules: str) -> str:
    """Digests the code that modules run, given by their dotted names or those of their members.

    In this project's modules all imports are followed, wherever they stand in a file; in a library's module only its
    own imports count. Returns the first 16 hexadecimal digits of a SHA-256 over paths and contents of this project's
    files, and the versions of libraries and Python.
    """
    files, libraries = code_closure(modules)
    digest = hashlib.sha256()
    for file in files:
        digest.update(str(file.relative_to(_ROOT)).encode() + b"\0" + file.read_bytes() + b"\0")
    for version in _versions(libraries):
        digest.update(version.encode() + b"\0")
    digest.update(f"{sys.version_info.major}.{sys.version_info.minor}".encode())
    return digest.hexdigest()[:16]


def code_closure(modules: Iterable[str]) -> tuple[list[Path], set[str]]:
    """Follows imports: returns this project's files, sorted, and the top-level names of the imported libraries."""
    files: set[Path] = set()
    libraries: set[str] = set()
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name.partition(".")[0] != _OWN_PACKAGE:
            libraries.add(name.partition(".")[0])
            libraries.update(found.partition(".")[0] for found in _imports(_library_file(name)) if not _is_own(found))
            continue
        for file in _own_files(name):
            if file not in files:
                files.add(file)
                for found in _imports(file):
                    if _is_own(found):
                        waiting.append(found)
                    else:
                        libraries.add(found.partition(".")[0])
    return sorted(files), libraries


def _is_own(name: str) -> bool:
    return name.partition(".")[0] == _OWN_PACKAGE


def _own_files(name: str) -> Iterator[Path]:
    """Yields the file of a module, or of the module that has a member, and those of its packages."""
    path = _ROOT.joinpath(*name.split("."))
    while not (path.with_suffix(".py").is_file() or path.is_dir()):
        path = path.parent
    if path == _ROOT / _OWN_PACKAGE and name != _OWN_PACKAGE:
        raise ModuleNotFoundError(f"no module {name} in {_ROOT}")
    if path.with_suffix(".py").is_file():
        yield path.with_suffix(".py")
    # Python runs a module's packages before it.
    for folder in (path, *path.parents):
        if folder == _ROOT:
            return
        if (folder / "__init__.py").is_file():
            yield folder / "__init__.py"


def _library_file(name: str) -> Path | None:
    # Loaded modules are not imported again: that would import their packages.
    origin = sys.modules[name].__file__ if name in sys.modules else importlib.import_module(name).__file__
    return Path(origin) if origin else None


@functools.cache
def _imports(file: Path | None) -> frozenset[str]:
    """Returns the dotted names that a file imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_bytes())) if file else ():
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            # A name may be a submodule.
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return frozenset(names)


def _versions(libraries: set[str]) -> list[str]:
    """Returns `distribution==version` of the libraries; Python's version covers its own."""
    versions = set()
    for library in libraries - sys.stdlib_module_names:
        # Distributions that do not list their packages mostly have the package's name.
        for name in _distributions().get(library, [library]):
            if version := _version(name):
                versions.add(f"{name}=={version}")
    return sorted(versions)


@functools.cache
def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


@functools.cache
def _distributions() -> dict[str, list[str]]:
    return dict(importlib.metadata.packages_distributions())
