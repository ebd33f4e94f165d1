"""The report in headless Chromium: no errors, no requests, no sideways scrolling on a phone."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from made_run import MadeRun

from pipeline.records.store import open_store
from pipeline.report.page import write_report

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), ""
)
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="Chromium is not installed")

_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-component-update",
    "--disable-background-networking", "--disable-sync", "--disable-extensions", "--enable-logging=stderr", "--v=0",
    "--host-resolver-rules=MAP * ~NOTFOUND",
)  # fmt: skip
_NO_ORIGIN = "not an origin"
# The windows of headless Chromium cannot be as narrow as a phone, but an iframe can.
_FRAME = """<!doctype html><iframe src="report.html" width="WIDTH" height="844"></iframe><script>
addEventListener("load", () => {
  const root = document.querySelector("iframe").contentDocument.documentElement;
  const room = root.querySelector("table.lineage").parentElement;
  document.body.append(["widths", root.scrollWidth, root.clientWidth, room.scrollWidth, room.clientWidth].join(" "));
});
</script>"""


def _open(page: Path, profile: Path, *flags: str) -> tuple[str, str]:
    command = [CHROMIUM, *_FLAGS, f"--user-data-dir={profile}", *flags, "--dump-dom", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout, done.stderr


@pytest.fixture
def page(make_run: Callable[..., MadeRun], tmp_path: Path) -> Path:
    names = ["<img src=//example.org/x onerror=alert(1)>", "W" * 80, "url(https://example.org/y)"]
    run = make_run(class_names=names)
    return write_report(open_store(str(run.output)).run(run.run_id), tmp_path / "report.html").page


def test_no_errors_and_no_requests(page: Path, tmp_path: Path) -> None:
    dom, log, requested = _watch(page, tmp_path / "watched")
    assert "of the test photos classified correctly" in dom
    assert "CONSOLE" not in log  # script errors, and what the Content-Security-Policy held back
    assert not requested

    # The same check does see a page that asks for something.
    asking = tmp_path / "asking.html"
    asking.write_text('<img src="http://example.org/picture.png"><script>nonsense()</script>')
    _, log, requested = _watch(asking, tmp_path / "control")
    assert "CONSOLE" in log
    assert requested == {"http://example.org/picture.png"}


@pytest.mark.parametrize("width", [390, 1000])
def test_phone_and_small_screen_need_no_sideways_scrolling(page: Path, tmp_path: Path, width: int) -> None:
    framing = tmp_path / "framing.html"
    framing.write_text(_FRAME.replace("WIDTH", str(width)))
    dom, _ = _open(framing, tmp_path / "profile", "--allow-file-access-from-files")
    content, frame, table, room = map(int, dom.rpartition("widths ")[2].split("<")[0].split())
    assert 0 < content <= frame
    # The lineage table scrolls within the page on a phone only.
    assert width == 390 or 0 < table <= room


def _watch(page: Path, folder: Path) -> tuple[str, str, set[str]]:
    """Returns a page's DOM, Chromium's log, and the addresses that the page asked for."""
    network = folder / "network.json"
    folder.mkdir()
    dom, log = _open(page, folder / "profile", f"--log-net-log={network}")
    parameters = [event.get("params", {}) for event in _events(network)]
    # What Chromium asks for on its own has no origin.
    asked = {p["url"] for p in parameters if "url" in p and p.get("initiator", _NO_ORIGIN) != _NO_ORIGIN}
    return dom, log, {url for url in asked if not url.startswith(("file:", "data:"))}


def _events(network: Path) -> list[dict[str, dict[str, str]]]:
    text = network.read_text()
    try:
        events: list[dict[str, dict[str, str]]] = json.loads(text)["events"]
    except json.JSONDecodeError:
        # Chromium may end before it closes the list.
        events = json.loads(text.rstrip().rstrip(",") + "]}")["events"]
    return events
