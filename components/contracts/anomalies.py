"""Files that TFDV writes for each split: statistics, and anomalies (contradictions between them and the schema)."""

from typing import Final, NamedTuple

from tensorflow_metadata.proto.v0 import anomalies_pb2

STATISTICS_FILE: Final = "FeatureStats.pb"  # `DatasetFeatureStatisticsList`
ANOMALIES_FILE: Final = "SchemaDiff.pb"  # `Anomalies`


class Anomaly(NamedTuple):
    """A contradiction between a split and the schema."""

    feature: str  # empty: the split as a whole
    severity: str
    description: str


def parse_anomalies(content: bytes) -> list[Anomaly]:
    """Returns the anomalies in a file's content, sorted by feature, the split's last."""
    message = anomalies_pb2.Anomalies.FromString(content)
    found = sorted(message.anomaly_info.items())
    if message.HasField("dataset_anomaly_info"):
        found.append(("", message.dataset_anomaly_info))
    severity_name = anomalies_pb2.AnomalyInfo.Severity.Name
    return [Anomaly(feature, severity_name(info.severity), info.description) for feature, info in found]
