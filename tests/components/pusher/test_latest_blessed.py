"""The pointer to the model that was pushed last: Pusher writes it, BaselineReader reads it, two runs at once."""

import hashlib
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pushes import CLASSES, files_below, push, read_baseline
from tfx.types import standard_artifacts

from components.common.errors import UserError
from components.contracts.drift import SAMPLE_FILE
from components.contracts.serving_folder import BASELINE_VERSION_PROPERTY, LATEST_BLESSED_FILE, NO_VERSION


@pytest.fixture
def serving(tmp_path: Path) -> Path:
    return tmp_path / "serving"


def _pointer(serving: Path) -> dict[str, object]:
    content: dict[str, object] = json.loads((serving / LATEST_BLESSED_FILE).read_text())
    return content


def test_the_pointer_names_the_model_that_was_pushed_last(tmp_path: Path, serving: Path) -> None:
    push(tmp_path, str(serving))
    version = push(tmp_path, str(serving), weights=b"better", accuracy=0.95).get_string_custom_property(
        "pushed_version"
    )

    assert _pointer(serving) == {
        "version": version,
        "uri": str(serving / version),
        "class_names": list(CLASSES),
        "examples": 20,
        "accuracy": 0.95,
        "loss": 0.25,
        "baseline_version": "none",
    }
    assert [path.name for path in serving.iterdir() if not path.name.isdigit()] == [LATEST_BLESSED_FILE]


def test_a_push_killed_before_it_moved_the_pointer_moves_it(tmp_path: Path, serving: Path) -> None:
    version = push(tmp_path, str(serving)).get_string_custom_property("pushed_version")
    (serving / LATEST_BLESSED_FILE).unlink()
    # Its retry was compared with what the first try was compared with.
    push(tmp_path, str(serving), artifact_id=6, baseline=read_baseline(tmp_path / "baseline", str(tmp_path / "other")))
    assert _pointer(serving)["version"] == version


def test_a_version_with_a_warm_up_is_still_the_same_model(tmp_path: Path, serving: Path) -> None:
    version = push(tmp_path, str(serving), weights=b"candidate").get_string_custom_property("pushed_version")
    (serving / version / "assets.extra").mkdir()
    (serving / version / "assets.extra" / "tf_serving_warmup_requests").write_bytes(b"requests")
    baseline = read_baseline(tmp_path / "baseline", str(serving), candidate=b"candidate")
    assert baseline.get_string_custom_property(BASELINE_VERSION_PROPERTY) == NO_VERSION


def test_the_baseline_is_the_model_that_was_pushed_last(tmp_path: Path, serving: Path) -> None:
    push(tmp_path, str(serving))
    version = push(tmp_path, str(serving), weights=b"better").get_string_custom_property("pushed_version")

    baseline = read_baseline(tmp_path / "baseline", str(serving))

    assert files_below(tmp_path / "baseline") == {
        "Format-Serving/saved_model.pb": b"graph",
        "Format-Serving/variables/variables.index": b"better",
    }
    assert baseline.get_string_custom_property("baseline_version") == version


def test_the_baseline_brings_the_sample_of_its_photos(tmp_path: Path, serving: Path) -> None:
    push(tmp_path, str(serving), weights=b"1", sample=b"photos of 1")
    push(tmp_path, str(serving), weights=b"2", sample=b"photos of 2")

    found = {}
    for candidate in (b"2", b"3"):
        baseline = read_baseline(tmp_path / candidate.decode(), str(serving), candidate=candidate)
        found[candidate] = (Path(baseline.uri) / SAMPLE_FILE).read_bytes() if _has_sample(baseline) else b""
    # No other model was the latest one when 2 was pushed.
    assert found == {b"2": b"", b"3": b"photos of 2"}


def _has_sample(baseline: standard_artifacts.Model) -> bool:
    return (Path(baseline.uri) / SAMPLE_FILE).is_file()


def test_before_the_first_push_there_is_no_baseline(
    tmp_path: Path, serving: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    baseline = read_baseline(tmp_path / "baseline", str(serving))
    assert baseline.get_string_custom_property("baseline_version") == "none"
    assert files_below(tmp_path / "baseline") == {}
    assert "No other model has been pushed to" in caplog.text


def test_a_model_is_never_its_own_baseline(tmp_path: Path, serving: Path) -> None:
    """A repeated run finds its own model pushed already: it has the baseline that it had the first time."""
    first = push(tmp_path, str(serving), weights=b"1").get_string_custom_property("pushed_version")
    baseline = read_baseline(tmp_path / "baseline", str(serving), candidate=b"2")
    push(tmp_path, str(serving), weights=b"2", baseline=baseline)
    before = files_below(serving)

    again = read_baseline(tmp_path / "again", str(serving), candidate=b"2")
    push(tmp_path, str(serving), weights=b"2", artifact_id=6, baseline=again)

    versions = [model.get_string_custom_property("baseline_version") for model in (baseline, again)]
    assert versions == [first, first]
    assert files_below(serving) == before


def test_without_an_earlier_one_the_repeated_run_has_no_baseline_either(tmp_path: Path, serving: Path) -> None:
    push(tmp_path, str(serving), weights=b"1")
    baseline = read_baseline(tmp_path / "baseline", str(serving), candidate=b"1")
    assert baseline.get_string_custom_property("baseline_version") == "none"
    assert files_below(tmp_path / "baseline") == {}


def test_versions_that_nothing_points_to_are_told_of(
    tmp_path: Path, serving: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (serving / "17").mkdir(parents=True)
    read_baseline(tmp_path / "baseline", str(serving))
    assert "has version 17 but no latest_blessed.json" in caplog.text


def test_a_pointer_to_nothing_is_an_error(tmp_path: Path, serving: Path) -> None:
    version = push(tmp_path, str(serving)).get_string_custom_property("pushed_version")
    (serving / version).rename(serving / "gone")
    with pytest.raises(UserError, match=rf"names version {version}, which does not exist: restore it, or delete"):
        read_baseline(tmp_path / "baseline", str(serving))


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": "1"}'])
def test_a_damaged_pointer_is_an_error(tmp_path: Path, serving: Path, text: str) -> None:
    serving.mkdir()
    (serving / LATEST_BLESSED_FILE).write_text(text)
    with pytest.raises(UserError, match=r"latest_blessed\.json is damaged .*delete it to continue"):
        read_baseline(tmp_path / "baseline", str(serving))


def test_of_two_runs_at_once_the_later_push_fails(tmp_path: Path, serving: Path) -> None:
    """Both were compared with the same model; the second one would take the place of one that it never met."""
    first, second = (read_baseline(tmp_path / name, str(serving)) for name in ("baseline1", "baseline2"))
    version = push(tmp_path, str(serving), accuracy=0.95, baseline=first).get_string_custom_property("pushed_version")
    before = files_below(serving)

    with pytest.raises(UserError) as error:
        push(tmp_path, str(serving), weights=b"other", baseline=second)

    assert str(error.value) == (
        f"this model was compared with no baseline, and since then version {version} (test accuracy "
        f"0.9500) was pushed in {serving}: nothing was pushed; run again to compare with the latest model"
    )
    assert files_below(serving) == before
    assert sorted(path.name for path in serving.iterdir()) == [version, LATEST_BLESSED_FILE]


def test_the_run_that_is_repeated_afterwards_is_pushed(tmp_path: Path, serving: Path) -> None:
    push(tmp_path, str(serving))
    stale = read_baseline(tmp_path / "stale", str(serving))
    push(tmp_path, str(serving), weights=b"better", baseline=stale)
    with pytest.raises(UserError, match="compared with version"):
        push(tmp_path, str(serving), weights=b"other", baseline=stale)

    fresh = read_baseline(tmp_path / "fresh", str(serving))
    version = push(tmp_path, str(serving), weights=b"other", baseline=fresh).get_string_custom_property(
        "pushed_version"
    )

    assert _pointer(serving)["version"] == version


def test_two_pushes_in_the_same_moment(tmp_path: Path, serving: Path) -> None:
    """Neither has moved the pointer yet: the mark of the other one tells."""
    baseline = read_baseline(tmp_path / "baseline", str(serving))
    serving.mkdir()
    mark = serving / f".pushing-{int(time.time())}-0a1b"
    mark.touch()
    with pytest.raises(UserError, match=r"another run has been pushing to .*: nothing was pushed; run again"):
        push(tmp_path, str(serving), baseline=baseline)
    assert list(serving.iterdir()) == [mark]


def _race(root: Path) -> list[bool]:
    """Pushes two models at once, both compared with what was there before; returns whether each was pushed."""
    baseline = read_baseline(root / "baseline", str(root / "serving"))
    both_are_ready = threading.Barrier(2)

    def run(name: str) -> bool:
        (root / name).mkdir()
        both_are_ready.wait()
        try:
            push(root / name, str(root / "serving"), weights=name.encode(), baseline=baseline)
        except UserError:
            return False
        return True

    with ThreadPoolExecutor(2) as threads:
        return list(threads.map(run, ("one", "two")))


def test_at_most_one_of_two_threads_pushes(tmp_path: Path) -> None:
    for attempt in range(20):
        pushed = _race(tmp_path / str(attempt))
        versions = [path for path in (tmp_path / str(attempt) / "serving").iterdir() if path.name.isdigit()]
        assert sum(pushed) == len(versions) <= 1


def test_the_mark_of_a_push_that_was_killed_is_passed_over(tmp_path: Path, serving: Path) -> None:
    baseline = read_baseline(tmp_path / "baseline", str(serving))
    serving.mkdir()
    (serving / f".pushing-{int(time.time()) - 1000}-0a1b").touch()
    assert push(tmp_path, str(serving), baseline=baseline).get_int_custom_property("pushed") == 1


def test_the_retry_of_a_push_that_was_killed_does_not_wait_for_it(tmp_path: Path, serving: Path) -> None:
    """A retry has the output of the first try."""
    baseline = read_baseline(tmp_path / "baseline", str(serving))
    serving.mkdir()
    key = hashlib.sha256(str(tmp_path / "pushed5").encode()).hexdigest()[:16]
    (serving / f".pushing-{int(time.time())}-{key}").touch()
    version = push(tmp_path, str(serving), baseline=baseline).get_string_custom_property("pushed_version")
    assert sorted(path.name for path in serving.iterdir()) == [version, LATEST_BLESSED_FILE]
