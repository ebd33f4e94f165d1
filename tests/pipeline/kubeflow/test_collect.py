"""A copied pipeline root becomes a metadata store."""

from pathlib import Path

import pytest

from components.common.errors import UserError
from pipeline.kubeflow.collect import collect
from pipeline.kubeflow.execution_record import ContainerArtifact, ContainerExecution
from pipeline.records.store import RunStore, open_store

ROOT = "minio://mlpipeline/flowers"


def _artifact(run: str, task: str, key: str, type_name: str, **properties: float | str) -> ContainerArtifact:
    return ContainerArtifact(type_name, f"{ROOT}/tf-flowers/{run}/{task}/salt/{key}", dict(properties))


def _write(
    copy: Path,
    run: str,
    node_id: str,
    inputs: list[ContainerArtifact],
    outputs: list[ContainerArtifact],
    *,
    baseline: list[ContainerArtifact] | None = None,
) -> None:
    below = f"tf-flowers/{run}/{node_id.lower()}/salt/execution_record"
    started = 1_700_000_000_000 + 100_000 * int(run[-1]) + 10_000 * len(inputs)
    ContainerExecution(
        pipeline_name="tf-flowers",
        node_id=node_id,
        executor=f"components.{node_id}",
        record_uri=f"{ROOT}/{below}",
        started_ms=started,
        finished_ms=started + 5_000,
        exec_properties={"seed": 3, "learning_rate": 0.5, "name": "x"},
        inputs={key: found for key, found in {"input": inputs, "baseline_model": baseline}.items() if found},
        outputs={artifact.uri.rsplit("/", 1)[1]: [artifact] for artifact in outputs},
    ).write(copy / below)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Run 1 is whole; run 2 took the examples from KFP's cache; a folder lies above the pipeline root."""
    copy = tmp_path / "copy" / "flowers"
    examples = _artifact("run-1", "tfdsexamplegen", "examples", "Examples", dataset_name="tf_flowers")
    _write(copy, "run-1", "TfdsExampleGen", [], [examples])
    for run in ("run-1", "run-2"):
        model = _artifact(run, "trainer", "model", "Model", accuracy=0.75)
        _write(copy, run, "Trainer", [examples], [model])
    return copy.parent


def _collected(copy: Path, output: Path) -> RunStore:
    collect(copy, output / "metadata.sqlite")
    return open_store(str(output))


def test_runs_with_times_properties_and_local_paths(copy: Path, tmp_path: Path) -> None:
    store = _collected(copy, tmp_path)
    assert store.pipeline_names == {"run-1": "tf-flowers", "run-2": "tf-flowers"}
    trainer = store.executions("run-1")["Trainer"]
    [model] = trainer.outputs["model"]
    assert trainer.updated_ms - trainer.started_ms == 5_000
    assert trainer.properties == {"seed": 3, "learning_rate": 0.5, "name": "x"}
    assert (model.type, model.properties["accuracy"]) == ("Model", 0.75)
    assert model.uri == str(copy / "flowers/tf-flowers/run-1/trainer/salt/model")


def test_what_a_run_took_from_the_cache_belongs_to_it(copy: Path, tmp_path: Path) -> None:
    executions = _collected(copy, tmp_path).executions("run-2")
    assert {node_id: execution.cached for node_id, execution in executions.items()} == {
        "TfdsExampleGen": True,
        "Trainer": False,
    }
    [examples] = executions["Trainer"].inputs["input"]
    assert examples.id == executions["TfdsExampleGen"].outputs["examples"][0].id


def test_a_model_may_be_compared_with_itself(copy: Path, tmp_path: Path) -> None:
    """An imported baseline that the run's own Trainer gave, from Kubeflow's cache."""
    model = _artifact("run-1", "trainer", "model", "Model", accuracy=0.75)
    _write(copy / "flowers", "run-1", "Evaluator.test", [model], [], baseline=[model])
    inputs = _collected(copy, tmp_path).executions("run-1")["Evaluator.test"].inputs
    [[trained], [baseline]] = inputs["input"], inputs["baseline_model"]
    assert baseline.id == trained.id


def test_where_a_model_was_pushed_is_told_as_it_is(copy: Path, tmp_path: Path) -> None:
    destination = "s3://mlpipeline/flowers/serving_model/tf-flowers/101"
    pushed = _artifact("run-1", "pusher", "pushed_model", "PushedModel", pushed=1, pushed_destination=destination)
    _write(copy / "flowers", "run-1", "Pusher", [], [pushed])
    assert _collected(copy, tmp_path).run("run-1").pushed_path == destination


def test_nothing_is_mixed_up_or_made_of_nothing(copy: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"empty holds no execution_record/execution.json"):
        collect(tmp_path / "empty", tmp_path / "metadata.sqlite")
    (tmp_path / "metadata.sqlite").touch()
    with pytest.raises(UserError, match="already exists; use an --output"):
        collect(copy, tmp_path / "metadata.sqlite")
