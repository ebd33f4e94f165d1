"""Tests of the atomic Pusher with real artifacts and folders."""

from pathlib import Path
from typing import Any

import pytest
from pushes import files_below, push
from tfx.types import standard_artifacts

from components.common.errors import UserError
from components.modeling.backbones.cache import content_digest


def _push(tmp_path: Path, **options: Any) -> standard_artifacts.PushedModel:
    return push(tmp_path, str(tmp_path / "serving"), **options)


def _versions(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "serving").iterdir() if path.is_dir())


def test_a_blessed_model_appears_as_one_complete_version(tmp_path: Path) -> None:
    pushed = _push(tmp_path)
    (version,) = _versions(tmp_path)
    assert version.isdigit()
    assert files_below(tmp_path / "serving" / version) == {
        "saved_model.pb": b"graph",
        "variables/variables.index": b"weights",
    }
    assert pushed.get_string_custom_property("pushed_destination") == str(tmp_path / "serving" / version)
    assert pushed.get_string_custom_property("pushed_version") == version
    assert pushed.get_int_custom_property("pushed") == 1


def test_two_models_within_a_second_are_two_versions(tmp_path: Path) -> None:
    first = _push(tmp_path, artifact_id=5)
    second = _push(tmp_path, artifact_id=6, weights=b"other weights")
    versions = [int(pushed.get_string_custom_property("pushed_version")) for pushed in (first, second)]
    assert versions[1] > versions[0]
    assert _versions(tmp_path) == list(map(str, versions))


def test_a_version_is_above_all_others(tmp_path: Path) -> None:
    for name in ("99999999999", "notes"):
        (tmp_path / "serving" / name).mkdir(parents=True)
    assert _push(tmp_path).get_string_custom_property("pushed_version") == "100000000000"


def test_an_unblessed_model_leaves_the_serving_folder_alone(tmp_path: Path) -> None:
    pushed = _push(tmp_path, blessed=False)
    assert pushed.get_int_custom_property("pushed") == 0
    assert not (tmp_path / "serving").exists() or not list((tmp_path / "serving").iterdir())


def test_the_copy_of_another_run_is_left_alone(tmp_path: Path) -> None:
    """Its run may be in the midst of writing it, and may know its artifact by the same id."""
    other = tmp_path / "serving" / ".staging-5" / "1700000000"
    other.mkdir(parents=True)
    (other / "variables").write_bytes(b"half")
    _push(tmp_path, artifact_id=5)
    assert (other / "variables").read_bytes() == b"half"
    assert [name.isdigit() for name in _versions(tmp_path)] == [False, True]


def test_a_push_killed_before_it_was_recorded_is_not_repeated(tmp_path: Path) -> None:
    """The version was renamed to its place, ML Metadata does not know it: the same version is recorded."""
    lost = _push(tmp_path, artifact_id=5).get_string_custom_property("pushed_version")
    again = _push(tmp_path, artifact_id=6)
    assert again.get_string_custom_property("pushed_version") == lost
    assert _versions(tmp_path) == [lost]


def test_a_warm_up_added_to_a_version_causes_no_second_push(tmp_path: Path) -> None:
    version = _push(tmp_path, artifact_id=5).get_string_custom_property("pushed_version")
    extra = tmp_path / "serving" / version / "assets.extra"
    extra.mkdir()
    (extra / "tf_serving_warmup_requests").write_bytes(b"requests")
    assert _push(tmp_path, artifact_id=6).get_string_custom_property("pushed_version") == version


def test_a_model_that_changed_after_training_is_not_pushed(tmp_path: Path) -> None:
    _push(tmp_path, blessed=False)
    written = content_digest(str(tmp_path / "model"))
    _push(tmp_path, written=written)
    with pytest.raises(UserError, match="have changed since it was trained: nothing was pushed; run again"):
        _push(tmp_path, weights=b"WEIGHTS", written=written)
    assert len(_versions(tmp_path)) == 1
