"""Tests of the atomic Pusher with real artifacts and folders."""

from pathlib import Path

from tfx.proto import pusher_pb2
from tfx.types import standard_artifacts
from tfx.utils import proto_utils

from components.pusher.executor import Executor


def _push(
    tmp_path: Path, blessed: bool = True, artifact_id: int = 5, weights: bytes = b"weights"
) -> standard_artifacts.PushedModel:
    model = standard_artifacts.Model()
    model.uri = str(tmp_path / "model")
    serving = tmp_path / "model" / "Format-Serving"
    (serving / "variables").mkdir(parents=True, exist_ok=True)
    (serving / "saved_model.pb").write_bytes(b"graph")
    (serving / "variables" / "variables.index").write_bytes(weights)
    blessing = standard_artifacts.ModelBlessing()
    blessing.set_int_custom_property("blessed", int(blessed))
    pushed = standard_artifacts.PushedModel()
    pushed.uri = str(tmp_path / f"pushed{artifact_id}")
    pushed.id = artifact_id
    destination = pusher_pb2.PushDestination(
        filesystem=pusher_pb2.PushDestination.Filesystem(base_directory=str(tmp_path / "serving"))
    )
    Executor().Do(
        {"model": [model], "model_blessing": [blessing]},
        {"pushed_model": [pushed]},
        {"push_destination": proto_utils.proto_to_json(destination)},
    )
    return pushed


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_blessed_model_appears_as_one_complete_version(tmp_path: Path) -> None:
    pushed = _push(tmp_path)
    (version,) = (tmp_path / "serving").iterdir()
    assert version.name.isdigit()
    assert _files(version) == {"saved_model.pb": b"graph", "variables/variables.index": b"weights"}
    assert pushed.get_string_custom_property("pushed_destination") == str(version)
    assert pushed.get_string_custom_property("pushed_version") == version.name
    assert pushed.get_int_custom_property("pushed") == 1


def test_two_models_within_a_second_are_two_versions(tmp_path: Path) -> None:
    first = _push(tmp_path, artifact_id=5)
    second = _push(tmp_path, artifact_id=6, weights=b"other weights")
    versions = [int(push.get_string_custom_property("pushed_version")) for push in (first, second)]
    assert versions[1] > versions[0]
    assert len(list((tmp_path / "serving").iterdir())) == 2


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
    assert sorted(path.name.isdigit() for path in (tmp_path / "serving").iterdir()) == [False, True]


def test_a_push_killed_before_it_was_recorded_is_not_repeated(tmp_path: Path) -> None:
    """The version was renamed to its place, ML Metadata does not know it: the same version is recorded."""
    lost = _push(tmp_path, artifact_id=5).get_string_custom_property("pushed_version")
    again = _push(tmp_path, artifact_id=6)
    assert again.get_string_custom_property("pushed_version") == lost
    assert [path.name for path in (tmp_path / "serving").iterdir()] == [lost]
