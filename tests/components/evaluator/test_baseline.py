"""Tests of the choice of a baseline among real artifacts."""

import ml_metadata as mlmd
import pytest
from ml_metadata.proto import metadata_store_pb2 as pb
from tfx.types import standard_artifacts

from components.contracts.artifact_types import Drift
from components.evaluator.baseline import LatestOtherBlessedModelStrategy, without_missing_baseline


def _model(number: int) -> standard_artifacts.Model:
    model = standard_artifacts.Model()
    model.id = number
    return model


def _blessing(model: int, blessed: bool = True) -> standard_artifacts.ModelBlessing:
    blessing = standard_artifacts.ModelBlessing()
    blessing.set_int_custom_property("current_model_id", model)
    blessing.set_int_custom_property("blessed", int(blessed))
    return blessing


def _baseline(blessings: list[standard_artifacts.ModelBlessing], candidate: int) -> list[int]:
    resolved = LatestOtherBlessedModelStrategy().resolve_artifacts(
        None,
        {
            "model": [_model(number) for number in (1, 2, 3)],
            "model_blessing": blessings,
            "candidate": [_model(candidate)],
            "drift": [],
        },
    )
    assert resolved is not None
    assert [model.id for model in resolved["candidate"]] == [candidate]
    return [model.id for model in resolved["model"]]


def test_the_latest_blessed_model_is_the_baseline() -> None:
    assert _baseline([_blessing(1), _blessing(2)], candidate=3) == [2]
    assert _baseline([_blessing(1), _blessing(2, blessed=False)], candidate=3) == [1]


def test_a_model_is_never_its_own_baseline() -> None:
    """A repeated run finds its own model blessed already: it has the baseline that it had the first time."""
    assert _baseline([_blessing(1), _blessing(2), _blessing(3)], candidate=3) == [2]
    assert _baseline([_blessing(3)], candidate=3) == []


def test_an_older_candidate_is_compared_with_what_came_after_it() -> None:
    assert _baseline([_blessing(1), _blessing(3)], candidate=1) == [3]


def test_without_a_blessing_there_is_no_baseline() -> None:
    assert _baseline([], candidate=3) == []


def test_what_was_found_of_a_models_photos_comes_with_it() -> None:
    """Pusher reads both; a model is read by others as well, and Drift artifacts by other runs."""
    store = mlmd.MetadataStore(pb.ConnectionConfig(fake_database=pb.FakeDatabaseConfig()))
    model_type, drift_type = (store.put_artifact_type(pb.ArtifactType(name=name)) for name in ("Model", "Drift"))
    ids = store.put_artifacts([pb.Artifact(type_id=kind) for kind in [model_type] * 2 + [drift_type] * 3])
    models, drifts = ids[:2], ids[2:]
    pusher, evaluator = (store.put_execution_type(pb.ExecutionType(name=name)) for name in ("Pusher", "Evaluator"))
    for model, drift in ((models[0], drifts[0]), (models[1], drifts[2])):
        _record(store, pusher, {"model": model, "drift": drift})
        _record(store, evaluator, {"model": model})
    _record(store, pusher, {"drift": drifts[1]})

    def resolved(blessed: list[int]) -> list[int]:
        found = LatestOtherBlessedModelStrategy().resolve_artifacts(
            store,
            {
                "model": [_model(number) for number in models],
                "model_blessing": [_blessing(number) for number in blessed],
                "candidate": [_model(99)],
                "drift": [_drift(number) for number in drifts],
            },
        )
        assert found is not None
        return [artifact.id for artifact in found["drift"]]

    assert resolved([models[0]]) == [drifts[0]]
    assert resolved(models) == [drifts[2]]
    assert resolved([]) == []


def _record(store: mlmd.MetadataStore, execution_type: int, read: dict[str, int]) -> None:
    [execution] = store.put_executions([pb.Execution(type_id=execution_type)])
    events = []
    for key, artifact in read.items():
        event = pb.Event(type=pb.Event.INPUT, artifact_id=artifact, execution_id=execution)
        event.path.steps.add().key = key
        events.append(event)
    store.put_events(events)


def _drift(number: int) -> Drift:
    drift = Drift()
    drift.id = number
    return drift


def _read(version: str) -> standard_artifacts.Model:
    model = standard_artifacts.Model()
    if version:
        model.set_string_custom_property("baseline_version", version)
    return model


def test_a_baseline_that_is_none_is_left_out_and_the_log_says_so(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    inputs = {"model": [standard_artifacts.Model()], "baseline_model": [_read("none")]}
    assert without_missing_baseline(inputs) == {"model": inputs["model"], "baseline_model": []}
    assert "there is no baseline" in caplog.text


@pytest.mark.parametrize("version", ["", "1700000000"])
def test_a_model_stays_whether_it_tells_its_version_or_not(version: str, caplog: pytest.LogCaptureFixture) -> None:
    inputs = {"baseline_model": [_read(version)]}
    assert without_missing_baseline(inputs) == inputs
    assert caplog.text == ""


def test_without_the_input_nothing_is_said(caplog: pytest.LogCaptureFixture) -> None:
    assert without_missing_baseline({"model": []}) == {"model": []}
    assert caplog.text == ""
