"""AnomalyGate, which stops a run when ExampleValidator found anomalies; their record stays in ML Metadata."""

from tensorflow_metadata.proto.v0 import statistics_pb2
from tfx import types
from tfx.dsl.component.experimental.annotations import InputArtifact
from tfx.dsl.component.experimental.decorators import component
from tfx.types import artifact_utils, standard_artifacts
from tfx.utils import io_utils

from components.common.errors import UserError
from components.contracts.anomalies import ANOMALIES_FILE, STATISTICS_FILE, parse_anomalies


@component
def AnomalyGate(
    anomalies: InputArtifact[standard_artifacts.ExampleAnomalies],
    statistics: InputArtifact[standard_artifacts.ExampleStatistics],
) -> None:
    """Fails when a split has anomalies or no examples; TFDV accepts an empty split."""
    found: list[str] = []
    for split in artifact_utils.decode_split_names(anomalies.split_names):
        contradictions = parse_anomalies(_read(anomalies, split, ANOMALIES_FILE))
        lines = [f"{anomaly.feature or 'dataset'}: {anomaly.description}" for anomaly in contradictions]
        measured = statistics_pb2.DatasetFeatureStatisticsList.FromString(_read(statistics, split, STATISTICS_FILE))
        if not any(dataset.num_examples for dataset in measured.datasets):
            lines.append("dataset: no examples; give more photos")
        found += [f"{split} split, {line}" for line in lines]
    if found:
        raise UserError(f"the data does not match its schema, nothing was trained: {'; '.join(found)}")


def _read(artifact: types.Artifact, split: str, name: str) -> bytes:
    content: bytes = io_utils.read_bytes_file(f"{artifact_utils.get_split_uri([artifact], split)}/{name}")
    return content
