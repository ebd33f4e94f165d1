"""Bad data against the project's schema: real StatisticsGen and ExampleValidator logic, then the gate."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from tf_examples import example, examples_artifact, raw_example
from tfx.components.example_validator import executor as example_validator
from tfx.components.statistics_gen import executor as statistics_gen
from tfx.dsl.components.base import base_beam_executor, base_executor
from tfx.types import Artifact, standard_artifacts

from components.anomaly_gate import AnomalyGate
from components.common.errors import UserError
from components.image_schema_gen import ImageSchemaGen


def _validate(tmp_path: Path, splits: dict[str, list[bytes]]) -> None:
    """Runs schema, statistics, validation and gate on the splits, each through its executor."""
    examples = examples_artifact(tmp_path / "examples", splits, ["daisy", "rose"])

    def output(artifact: Artifact, name: str) -> Artifact:
        artifact.uri = str(tmp_path / name)
        Path(artifact.uri).mkdir()
        return artifact

    schema = output(standard_artifacts.Schema(), "schema")
    statistics = output(standard_artifacts.ExampleStatistics(), "statistics")
    anomalies = output(standard_artifacts.ExampleAnomalies(), "anomalies")
    context = base_executor.BaseExecutor.Context(tmp_dir=str(tmp_path / "tmp"), unique_id="1")
    beam_context = base_beam_executor.BaseBeamExecutor.Context(tmp_dir=str(tmp_path / "tmp"), unique_id="2")
    ImageSchemaGen.test_call(examples=examples, schema=schema)
    statistics_gen.Executor(beam_context).Do(
        {"examples": [examples], "schema": [schema]}, {"statistics": [statistics]}, {"exclude_splits": "[]"}
    )
    example_validator.Executor(context).Do(
        {"statistics": [statistics], "schema": [schema]}, {"anomalies": [anomalies]}, {"exclude_splits": "[]"}
    )
    AnomalyGate.test_call(anomalies=anomalies, statistics=statistics)


@pytest.mark.slow
def test_all_problems_of_all_splits_are_named(tmp_path: Path, encode_image: Callable[..., bytes]) -> None:
    """That good data passes is shown by every run."""
    good = [raw_example(encode_image(seed=index), index % 2, b"%d" % index) for index in range(4)]
    unlabelled, other_class = example(image=encode_image(), id=b"unlabelled"), raw_example(encode_image(), 7)
    with pytest.raises(UserError) as caught:
        _validate(tmp_path, {"train": [*good, unlabelled], "validation": [], "test": [*good, other_class]})
    message = str(caught.value)
    assert "\n" not in message
    assert "train split, label: The feature has a shape, but it's not always present" in message
    assert "validation split, dataset: no examples; give more photos" in message
    assert re.search(r"test split, label: .*(7|too large|range|domain)", message)
