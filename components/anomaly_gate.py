"""AnomalyGate, which stops a run when ExampleValidator found anomalies.

ExampleValidator itself only records anomalies. The gate fails in a step of its own, so that their record stays in
ML Metadata.
"""

from typing import TypeVar

from google.protobuf.message import Message
from tensorflow_metadata.proto.v0 import anomalies_pb2, statistics_pb2
from tfx import types
from tfx.dsl.component.experimental.annotations import InputArtifact
from tfx.dsl.component.experimental.decorators import component
from tfx.types import artifact_utils, standard_artifacts
from tfx.utils import io_utils

from components.common.errors import UserError

MessageT = TypeVar("MessageT", bound=Message)


@component
def AnomalyGate(
    anomalies: InputArtifact[standard_artifacts.ExampleAnomalies],
    statistics: InputArtifact[standard_artifacts.ExampleStatistics],
) -> None:
    """Fails when a split has anomalies or no examples; TFDV accepts an empty split."""
    found: list[str] = []
    for split in artifact_utils.decode_split_names(anomalies.split_names):
        lines = _describe(_read(anomalies, split, "SchemaDiff.pb", anomalies_pb2.Anomalies()))
        measured = _read(statistics, split, "FeatureStats.pb", statistics_pb2.DatasetFeatureStatisticsList())
        if not sum(dataset.num_examples for dataset in measured.datasets):
            lines.append("dataset: no examples; give more photos")
        found += [f"{split} split, {line}" for line in lines]
    if found:
        raise UserError(f"the data does not match its schema, nothing was trained: {'; '.join(found)}")


def _describe(anomalies: anomalies_pb2.Anomalies) -> list[str]:
    """Returns one line per anomaly: the feature and TFDV's description."""
    lines = [f"{name}: {info.description}" for name, info in sorted(anomalies.anomaly_info.items())]
    if anomalies.HasField("dataset_anomaly_info"):
        lines.append(f"dataset: {anomalies.dataset_anomaly_info.description}")
    return lines


def _read(artifact: types.Artifact, split: str, name: str, message: MessageT) -> MessageT:
    message.ParseFromString(io_utils.read_bytes_file(f"{artifact_utils.get_split_uri([artifact], split)}/{name}"))
    return message
