"""The examples of docs/development.md, applied to a copy of the tree, work; none touches more than three places."""

import json
import re
import shutil
from pathlib import Path

import pytest
from checkout import Checkout
from pages import ROOT, Block, page_blocks

_PAGE = ROOT / "docs" / "development.md"
# Where the name of a new file stands: `# path`, or `{# path #}` in a template.
_NEW_FILE = re.compile(r"^(?:# |\{# )(?P<path>[\w/.]+)(?: #\})?\n")
_MOST_PLACES = 3


def _examples() -> dict[str, list[Block]]:
    """Returns the code of every section that adds something, by its title."""
    examples: dict[str, list[Block]] = {}
    text = _PAGE.read_text()
    for block in page_blocks(_PAGE):
        if block.language in ("python", "jinja", "diff"):
            title = re.findall(r"^## (.*)$", text[: text.index(block.text)], re.MULTILINE)[-1]
            examples.setdefault(title, []).append(block)
    return examples


def _apply(block: Block, tree: Path) -> str:
    """Writes a new file, or changes one; returns its path."""
    if block.language != "diff":
        match = _NEW_FILE.match(block.text)
        assert match, f"{block.place} names no file"
        file = tree / match["path"]
        file.parent.mkdir(parents=True, exist_ok=True)
        assert not file.exists()
        file.write_text(block.text[match.end() :])
        return match["path"]
    header, *hunks = block.text.split("@@\n")
    path = header.splitlines()[-1].removeprefix("+++ b/")
    text = (tree / path).read_text()
    for hunk in hunks:
        lines = hunk.splitlines(keepends=True)
        before = "".join(line[1:] for line in lines if line[0] != "+")
        after = "".join(line[1:] for line in lines if line[0] != "-")
        assert text.count(before) == 1, f"{block.place} does not fit {path}:\n{before}"
        text = text.replace(before, after)
    (tree / path).write_text(text)
    return path


def _copy_tree(target: Path) -> None:
    for name in ("components", "pipeline"):
        shutil.copytree(ROOT / name, target / name, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
    for name in ("README.md", "local_runner.py"):
        shutil.copy(ROOT / name, target / name)


@pytest.mark.parametrize("title", _examples())
def test_an_extension_touches_three_places_at_most(title: str, tmp_path: Path) -> None:
    _copy_tree(tmp_path)
    known = {path.relative_to(tmp_path) for path in tmp_path.rglob("*")}
    touched = [Path(_apply(block, tmp_path)) for block in _examples()[title]]
    # A new folder is one place.
    places = {path if path.parent in known else path.parent for path in touched}
    assert len(places) <= _MOST_PLACES


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory, checkout: Checkout) -> Checkout:
    """A tree with all examples, and a run of it after those of the README."""
    extended = Checkout(tmp_path_factory.mktemp("extended"), linked=False)
    _copy_tree(extended.folder)
    for blocks in _examples().values():
        for block in blocks:
            _apply(block, extended.folder)
    shutil.copytree(checkout.folder / "output", extended.folder / "output")
    finished = extended.run(
        f"python local_runner.py --photos {checkout.home}/my_photos --backbone efficientnet_lite0_stem "
        "--epochs 2 --min-accuracy 0 --max-accuracy-drop 1 --bless 'brier_score<=2'"
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return extended


@pytest.mark.slow
def test_the_component_runs(extended: Checkout) -> None:
    shown = extended.run("python local_runner.py show ClassBalance")
    assert "COMPLETE" in shown.stdout, shown.stdout + shown.stderr


@pytest.mark.slow
def test_the_backbone_is_used(extended: Checkout) -> None:
    (latest,) = json.loads(extended.run("python local_runner.py runs --limit 1 --json").stdout)
    assert latest["backbone"] == "efficientnet_lite0_stem"


@pytest.mark.slow
def test_the_metric_is_bounded(extended: Checkout) -> None:
    checks = json.loads(extended.run("python local_runner.py why --json").stdout)["checks"]
    (brier,) = [check for check in checks if check["metric"] == "brier_score"]
    assert brier["passed"]
    assert 0 < brier["value"] < 2


@pytest.mark.slow
def test_the_section_is_in_the_report(extended: Checkout) -> None:
    reports = (extended.folder / "output" / "reports").glob("*/*.html")
    report = max(reports, key=lambda path: path.stat().st_mtime)
    assert re.search(r"<h2[^>]*>Durations</h2>", report.read_text())


@pytest.mark.slow
def test_the_command_answers(extended: Checkout) -> None:
    listed = extended.run("python local_runner.py pushed --json")
    assert listed.returncode == 0, listed.stderr
    assert "serving_model" in listed.stdout
