"""The pointer to the model that was pushed last: Pusher writes it, BaselineReader reads it, two runs at once."""

import hashlib
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pushes import CLASSES, ServingFolder, files_below
from tfx.types import standard_artifacts

from components.common.errors import UserError
from components.contracts.drift import SAMPLE_FILE
from components.contracts.serving_folder import BASELINE_VERSION_PROPERTY, LATEST_BLESSED_FILE, NO_VERSION


def _pointer(serving: ServingFolder) -> dict[str, object]:
    content: dict[str, object] = json.loads((serving.folder / LATEST_BLESSED_FILE).read_text())
    return content


def test_the_pointer_names_the_model_that_was_pushed_last(serving: ServingFolder) -> None:
    serving.push()
    version = serving.push_version(weights=b"better", accuracy=0.95)

    assert _pointer(serving) == {
        "version": version,
        "uri": str(serving.folder / version),
        "class_names": list(CLASSES),
        "examples": 20,
        "accuracy": 0.95,
        "loss": 0.25,
        "baseline_version": "none",
    }
    assert [path.name for path in serving.folder.iterdir() if not path.name.isdigit()] == [LATEST_BLESSED_FILE]


def test_a_push_killed_before_it_moved_the_pointer_moves_it(tmp_path: Path, serving: ServingFolder) -> None:
    version = serving.push_version()
    (serving.folder / LATEST_BLESSED_FILE).unlink()
    # Its retry was compared with what the first try was compared with.
    serving.push(artifact_id=6, baseline=ServingFolder(tmp_path, tmp_path / "other").read_baseline())
    assert _pointer(serving)["version"] == version


def test_a_version_with_a_warm_up_is_still_the_same_model(serving: ServingFolder) -> None:
    version = serving.push_version(weights=b"candidate")
    (serving.folder / version / "assets.extra").mkdir()
    (serving.folder / version / "assets.extra" / "tf_serving_warmup_requests").write_bytes(b"requests")
    baseline = serving.read_baseline(candidate=b"candidate")
    assert baseline.get_string_custom_property(BASELINE_VERSION_PROPERTY) == NO_VERSION


def test_the_baseline_is_the_model_that_was_pushed_last(tmp_path: Path, serving: ServingFolder) -> None:
    serving.push()
    version = serving.push_version(weights=b"better")

    baseline = serving.read_baseline()

    assert files_below(tmp_path / "baseline") == {
        "Format-Serving/saved_model.pb": b"graph",
        "Format-Serving/variables/variables.index": b"better",
    }
    assert baseline.get_string_custom_property("baseline_version") == version


def test_the_baseline_brings_the_sample_of_its_photos(serving: ServingFolder) -> None:
    serving.push(weights=b"1", sample=b"photos of 1")
    serving.push(weights=b"2", sample=b"photos of 2")

    found = {}
    for candidate in (b"2", b"3"):
        sample = Path(serving.read_baseline(candidate.decode(), candidate).uri) / SAMPLE_FILE
        found[candidate] = sample.read_bytes() if sample.exists() else b""
    # No other model was the latest one when 2 was pushed.
    assert found == {b"2": b"", b"3": b"photos of 2"}


def test_before_the_first_push_there_is_no_baseline(
    tmp_path: Path, serving: ServingFolder, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    baseline = serving.read_baseline()
    assert baseline.get_string_custom_property("baseline_version") == "none"
    assert files_below(tmp_path / "baseline") == {}
    assert "No other model has been pushed to" in caplog.text


def test_a_model_is_never_its_own_baseline(serving: ServingFolder) -> None:
    """A repeated run finds its own model pushed already: it has the baseline that it had the first time."""
    first = serving.push_version(weights=b"1")
    baseline = serving.read_baseline("baseline", candidate=b"2")
    serving.push(weights=b"2", baseline=baseline)
    before = serving.files()

    again = serving.read_baseline("again", candidate=b"2")
    serving.push(weights=b"2", artifact_id=6, baseline=again)

    versions = [model.get_string_custom_property("baseline_version") for model in (baseline, again)]
    assert versions == [first, first]
    assert serving.files() == before


def test_without_an_earlier_one_the_repeated_run_has_no_baseline_either(tmp_path: Path, serving: ServingFolder) -> None:
    serving.push(weights=b"1")
    baseline = serving.read_baseline("baseline", candidate=b"1")
    assert baseline.get_string_custom_property("baseline_version") == "none"
    assert files_below(tmp_path / "baseline") == {}


def test_versions_that_nothing_points_to_are_told_of(serving: ServingFolder, caplog: pytest.LogCaptureFixture) -> None:
    (serving.folder / "17").mkdir(parents=True)
    serving.read_baseline()
    assert "has version 17 but no latest_blessed.json" in caplog.text


def test_a_pointer_to_nothing_is_an_error(serving: ServingFolder) -> None:
    version = serving.push_version()
    (serving.folder / version).rename(serving.folder / "gone")
    with pytest.raises(UserError, match=rf"names version {version}, which does not exist: restore it, or delete"):
        serving.read_baseline()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": "1"}'])
def test_a_damaged_pointer_is_an_error(serving: ServingFolder, text: str) -> None:
    serving.folder.mkdir()
    (serving.folder / LATEST_BLESSED_FILE).write_text(text)
    with pytest.raises(UserError, match=r"latest_blessed\.json is damaged .*delete it to continue"):
        serving.read_baseline()


def test_of_two_runs_at_once_the_later_push_fails(serving: ServingFolder) -> None:
    """Both were compared with the same model; the second one would take the place of one that it never met."""
    first, second = (serving.read_baseline(name) for name in ("baseline1", "baseline2"))
    version = serving.push_version(accuracy=0.95, baseline=first)
    before = serving.files()

    with pytest.raises(UserError) as error:
        serving.push(weights=b"other", baseline=second)

    assert str(error.value) == (
        f"this model was compared with no baseline, and since then version {version} (test accuracy "
        f"0.9500) was pushed in {serving.folder}: nothing was pushed; run again to compare with the latest model"
    )
    assert serving.files() == before
    assert serving.names() == [version, LATEST_BLESSED_FILE]


def test_the_run_that_is_repeated_afterwards_is_pushed(serving: ServingFolder) -> None:
    serving.push()
    stale = serving.read_baseline("stale")
    serving.push(weights=b"better", baseline=stale)
    with pytest.raises(UserError, match="compared with version"):
        serving.push(weights=b"other", baseline=stale)

    fresh = serving.read_baseline("fresh")
    version = serving.push_version(weights=b"other", baseline=fresh)

    assert _pointer(serving)["version"] == version


def test_two_pushes_in_the_same_moment(serving: ServingFolder) -> None:
    """Neither has moved the pointer yet: the mark of the other one tells."""
    baseline = serving.read_baseline()
    serving.folder.mkdir()
    mark = serving.folder / f".pushing-{int(time.time())}-0a1b"
    mark.touch()
    with pytest.raises(UserError, match=r"another run has been pushing to .*: nothing was pushed; run again"):
        serving.push(baseline=baseline)
    assert list(serving.folder.iterdir()) == [mark]


def test_at_most_one_of_two_threads_pushes(tmp_path: Path) -> None:
    """Both were compared with what was there before."""

    def push(serving: ServingFolder, baseline: standard_artifacts.Model, both_are_ready: threading.Barrier) -> bool:
        both_are_ready.wait()
        try:
            serving.push(weights=serving.root.name.encode(), baseline=baseline)
        except UserError:
            return False
        return True

    for attempt in range(20):
        one, two = (ServingFolder(tmp_path / f"{name}{attempt}", tmp_path / f"serving{attempt}") for name in "ab")
        baseline, barrier = one.read_baseline(), threading.Barrier(2)
        two.root.mkdir()
        with ThreadPoolExecutor(2) as threads:
            pushed = list(threads.map(push, (one, two), [baseline] * 2, [barrier] * 2))
        assert sum(pushed) == sum(name.isdigit() for name in one.names()) <= 1


def test_the_mark_of_a_push_that_was_killed_is_passed_over(serving: ServingFolder) -> None:
    baseline = serving.read_baseline()
    serving.folder.mkdir()
    (serving.folder / f".pushing-{int(time.time()) - 1000}-0a1b").touch()
    assert serving.push(baseline=baseline).get_int_custom_property("pushed") == 1


def test_the_retry_of_a_push_that_was_killed_does_not_wait_for_it(tmp_path: Path, serving: ServingFolder) -> None:
    """A retry has the output of the first try."""
    baseline = serving.read_baseline()
    serving.folder.mkdir()
    key = hashlib.sha256(str(tmp_path / "pushed5").encode()).hexdigest()[:16]
    (serving.folder / f".pushing-{int(time.time())}-{key}").touch()
    version = serving.push_version(baseline=baseline)
    assert serving.names() == [version, LATEST_BLESSED_FILE]
