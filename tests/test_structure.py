"""How the tree is laid out: imports, names, sizes."""

import collections
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[1]
_CODE = ("components", "pipeline")
_TREES = (*_CODE, "tests", "benchmarks", "docs", "deploy")

# File names that mean the same wherever they stand.
_CONVENTIONS = {"__init__.py", "component.py", "executor.py", "artifacts.py"}
# Here a module is named after its subject, which other folders may have a module about.
_BY_SUBJECT = {
    "components/common/contracts",
    "pipeline/cli/commands",
    "pipeline/cli/inspection",
    "pipeline/report/sections",
}
# A shelf is read at a glance up to here; `components`, and its tests, have one folder per component.
_SHELF = 12
_LONG_SHELVES = {
    "components",
    "docs",  # one page per subject
    "tests/components",
    "tests/components/modeling",
}
# Tests may be longer: their cases are read one at a time.
_LINES = {"components": 200, "pipeline": 200, "benchmarks": 200, "tests": 300}
_LONG_FILES = {
    "components/image_validator/decisions.py",
    "components/image_validator/image_check.py",
    "components/trainer/visualization.py",
    "pipeline/config.py",
    "pipeline/history/run.py",
}


def _files(*trees: str) -> list[Path]:
    """Returns the files of some folders that git knows or would add, relative to the root."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *trees]
    listed = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [Path(line) for line in listed.stdout.splitlines() if (_ROOT / line).is_file()]


def test_imports_point_one_way() -> None:
    """The contracts are in pyproject.toml."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-logo"]
    checked = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_no_two_things_share_a_name() -> None:
    """A module or folder is found by its name alone; a test module is named like no other test module."""
    places = collections.defaultdict(set)
    for file in _files(*_CODE):
        if file.suffix == ".py" and file.name not in _CONVENTIONS and str(file.parent) not in _BY_SUBJECT:
            places[file.stem].add(str(file))
        for folder in file.parents:
            if folder.parent != folder and folder.name not in _CODE:
                places[folder.name].add(str(folder))
    for file in _files("tests"):
        if file.name.startswith("test_"):
            places[file.stem].add(str(file))
    twice = {name: sorted(found) for name, found in places.items() if len(found) > 1}
    assert twice == {}


def test_a_shelf_holds_a_dozen_things_at_most() -> None:
    shelves = collections.defaultdict(set)
    for file in _files(*_TREES):
        for path in (file, *file.parents):
            if path.parent != path and path.name != "__init__.py":
                shelves[str(path.parent)].add(path.name)
    del shelves["."]
    long = {shelf for shelf, things in shelves.items() if len(things) > _SHELF}
    assert long == _LONG_SHELVES


def test_files_stay_short() -> None:
    code = [file for file in _files(*_LINES) if file.suffix == ".py"]
    long = {str(file) for file in code if len((_ROOT / file).read_text().splitlines()) > _LINES[file.parts[0]]}
    assert long == _LONG_FILES
