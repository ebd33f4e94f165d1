"""Tests of the atomic Pusher with real artifacts and folders."""

import pytest
from pushes import ServingFolder, files_below

from components.common.errors import UserError
from components.modeling.backbones.cache import content_digest


def test_a_blessed_model_appears_as_one_complete_version(serving: ServingFolder) -> None:
    pushed = serving.push()
    (version,) = serving.versions()
    assert version.isdigit()
    assert files_below(serving.folder / version) == {
        "saved_model.pb": b"graph",
        "variables/variables.index": b"weights",
    }
    assert pushed.get_string_custom_property("pushed_destination") == str(serving.folder / version)
    assert pushed.get_string_custom_property("pushed_version") == version
    assert pushed.get_int_custom_property("pushed") == 1


def test_two_models_within_a_second_are_two_versions(serving: ServingFolder) -> None:
    versions = [serving.push_version(artifact_id=5), serving.push_version(artifact_id=6, weights=b"other weights")]
    assert int(versions[1]) > int(versions[0])
    assert serving.versions() == versions


def test_a_version_is_above_all_others(serving: ServingFolder) -> None:
    for name in ("99999999999", "notes"):
        (serving.folder / name).mkdir(parents=True)
    assert serving.push_version() == "100000000000"


def test_an_unblessed_model_leaves_the_serving_folder_alone(serving: ServingFolder) -> None:
    pushed = serving.push(blessed=False)
    assert pushed.get_int_custom_property("pushed") == 0
    assert not serving.folder.exists() or not serving.names()


def test_the_copy_of_another_run_is_left_alone(serving: ServingFolder) -> None:
    """Its run may be in the midst of writing it, and may know its artifact by the same id."""
    other = serving.folder / ".staging-5" / "1700000000"
    other.mkdir(parents=True)
    (other / "variables").write_bytes(b"half")
    serving.push(artifact_id=5)
    assert (other / "variables").read_bytes() == b"half"
    assert [name.isdigit() for name in serving.versions()] == [False, True]


def test_a_push_killed_before_it_was_recorded_is_not_repeated(serving: ServingFolder) -> None:
    """The version was renamed to its place, ML Metadata does not know it: the same version is recorded."""
    lost = serving.push_version(artifact_id=5)
    again = serving.push(artifact_id=6)
    assert again.get_string_custom_property("pushed_version") == lost
    assert serving.versions() == [lost]


def test_a_warm_up_added_to_a_version_causes_no_second_push(serving: ServingFolder) -> None:
    version = serving.push_version(artifact_id=5)
    extra = serving.folder / version / "assets.extra"
    extra.mkdir()
    (extra / "tf_serving_warmup_requests").write_bytes(b"requests")
    assert serving.push_version(artifact_id=6) == version


def test_a_model_that_changed_after_training_is_not_pushed(serving: ServingFolder) -> None:
    serving.push(blessed=False)
    written = content_digest(str(serving.root / "model"))
    serving.push(written=written)
    with pytest.raises(UserError, match="have changed since it was trained: nothing was pushed; run again"):
        serving.push(weights=b"WEIGHTS", written=written)
    assert len(serving.versions()) == 1
