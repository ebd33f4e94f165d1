"""Executor of AnomalyGate."""

from typing import Any, TypeVar

from google.protobuf.message import Message
from tensorflow_metadata.proto.v0 import anomalies_pb2, statistics_pb2
from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils
from tfx.utils import io_utils

from components.common.errors import UserError

_ANOMALIES_FILE = "SchemaDiff.pb"
_STATISTICS_FILE = "FeatureStats.pb"

MessageT = TypeVar("MessageT", bound=Message)


def describe_anomalies(anomalies: anomalies_pb2.Anomalies) -> list[str]:
    """Returns one line per anomaly: the feature it is about and TFDV's description."""
    lines = [f"{name}: {info.description}" for name, info in sorted(anomalies.anomaly_info.items())]
    if anomalies.HasField("dataset_anomaly_info"):
        lines.append(f"dataset: {anomalies.dataset_anomaly_info.description}")
    return lines


class Executor(base_executor.BaseExecutor):
    """Reads the anomalies of every split and raises when there are any."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        anomalies = artifact_utils.get_single_instance(input_dict["anomalies"])
        statistics = artifact_utils.get_single_instance(input_dict["statistics"])
        found: list[str] = []
        for split in artifact_utils.decode_split_names(anomalies.split_names):
            lines = describe_anomalies(_read(anomalies, split, _ANOMALIES_FILE, anomalies_pb2.Anomalies()))
            measured = _read(statistics, split, _STATISTICS_FILE, statistics_pb2.DatasetFeatureStatisticsList())
            if not sum(dataset.num_examples for dataset in measured.datasets):
                lines.append("dataset: it holds no examples; give more photos")
            found += [f"{split} split, {line}" for line in lines]
        if found:
            raise UserError(f"the data does not meet its schema, nothing was trained: {'; '.join(found)}")


def _read(artifact: types.Artifact, split: str, name: str, message: MessageT) -> MessageT:
    """Fills a proto from a file of one split of an artifact."""
    message.ParseFromString(io_utils.read_bytes_file(f"{artifact_utils.get_split_uri([artifact], split)}/{name}"))
    return message
