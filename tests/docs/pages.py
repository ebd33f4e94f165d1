"""The README and the pages below docs/, read as what they promise."""

import dataclasses
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
PAGES: Final = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))

# What an HTML comment before a code block may say that its commands need: `<!-- needs: docker -->`.
NEEDS: Final = {
    "binaries": "Kubeflow Pipelines' own programs, or its source",
    "bucket": "photos in a bucket",
    "browser": "opens a page and stays until Ctrl-C",
    "cluster": "Kubeflow Pipelines",
    "docker": "a container builder, or images",
    "java": "Java, Maven, Flink",
    "minutes": "runs that are too long to repeat here",
    "network": "model or data hosts",
    "server": "a model server that is running",
}
_BLOCK = re.compile(
    r"(?:^<!-- needs: (?P<needs>\w+) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
_RUNNER = re.compile(
    r"(?:python|\.venv/bin/python) (?P<runner>(?:local|kubeflow)_runner)\.py(?P<args>(?:'[^']*'|[^|&;>'])*)"
)
_MAKE = re.compile(r"^make (?P<args>.*)$")


@dataclasses.dataclass(frozen=True)
class Block:
    """A code block of a page."""

    place: str  # page and line, as `README.md:30`
    language: str
    text: str
    needs: str  # a key of `NEEDS`; empty when a test has to run it

    def commands(self) -> Iterator[str]:
        """Yields the shell's lines, continued ones as one, without comments."""
        for line in self.text.replace("\\\n", " ").splitlines():
            command = re.sub(r"(^|\s)# .*", "", line).strip()
            if command:
                yield command

    def runner_arguments(self) -> Iterator[tuple[str, list[str]]]:
        """Yields every call of a runner: its module, and the words behind it."""
        for command in self.commands():
            for call in _RUNNER.finditer(command):
                yield call["runner"], shlex.split(call["args"])
            for target, words in _made(command):
                if target == "run":
                    yield "local_runner", words

    def make_targets(self) -> Iterator[str]:
        """Yields the targets of every call of make."""
        for command in self.commands():
            yield from (target for target, _ in _made(command))


def _made(command: str) -> Iterator[tuple[str, list[str]]]:
    """Yields the targets of a call of make, each with the words in ARGS."""
    call = _MAKE.match(command)
    words = shlex.split(call["args"]) if call else []
    variables = dict(word.split("=", 1) for word in words if "=" in word)
    for target in words:
        if "=" not in target:
            yield target, shlex.split(variables.get("ARGS", ""))


def blocks(*languages: str) -> list[Block]:
    """Returns the code blocks of all pages in some languages."""
    return [block for page in PAGES for block in page_blocks(page) if block.language in languages]


def page_blocks(page: Path) -> list[Block]:
    """Returns the code blocks of one page."""
    text = page.read_text()
    found = []
    for match in _BLOCK.finditer(text):
        place = f"{page.relative_to(ROOT)}:{text.count(chr(10), 0, match.start('text'))}"
        found.append(Block(place, match["language"], match["text"], match["needs"] or ""))
    return found


def prose(page: Path) -> str:
    """Returns a page without its code blocks."""
    return _BLOCK.sub("", page.read_text())
