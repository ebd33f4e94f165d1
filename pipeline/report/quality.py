"""Data quality: TFDV's statistics and anomalies."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from google.protobuf.message import DecodeError
from tensorflow_metadata.proto.v0 import statistics_pb2

from components.contracts.anomalies import ANOMALIES_FILE, STATISTICS_FILE, Anomaly, parse_anomalies
from components.contracts.nodes import ANOMALIES, STATISTICS, Output
from pipeline.records.store import Run
from pipeline.report.photos import split_folder
from pipeline.report.view import RunView


class FeatureStatistics(NamedTuple):
    """Statistics of a feature in a split; `details` depends on the type: range, mean, distinct values, lengths."""

    feature: str
    split: str
    type: str
    present: int
    missing: int
    details: str


class Quality(NamedTuple):
    """The findings."""

    statistics: Sequence[FeatureStatistics]
    anomalies: Sequence[tuple[str, Anomaly]] | None  # with their splits; None if the data was not checked


def load(view: RunView) -> Quality:
    """Reads the outputs of StatisticsGen and ExampleValidator."""
    run = view.run
    statistics = sorted(_statistics(run), key=lambda row: (row.feature, run.splits.index(row.split)))
    return Quality(statistics, list(_anomalies(run)) if run.folder(ANOMALIES) else None)


def _statistics(run: Run) -> Iterator[FeatureStatistics]:
    for split, content in _split_files(run, STATISTICS, STATISTICS_FILE):
        try:
            message = statistics_pb2.DatasetFeatureStatisticsList.FromString(content)
        except DecodeError:
            continue
        for dataset in message.datasets:
            yield from (_feature_statistics(split, feature, dataset.num_examples) for feature in dataset.features)


def _feature_statistics(
    split: str, feature: statistics_pb2.FeatureNameStatistics, num_examples: int
) -> FeatureStatistics:
    kind = feature.WhichOneof("stats") or ""
    values = getattr(feature, kind) if kind else None
    common = values.common_stats if values is not None else statistics_pb2.CommonStatistics()
    return FeatureStatistics(
        feature=feature.name or ".".join(feature.path.step),
        split=split,
        type=statistics_pb2.FeatureNameStatistics.Type.Name(feature.type),
        present=common.num_non_missing,
        missing=max(num_examples - common.num_non_missing, common.num_missing),
        details=_details(kind, values),
    )


def _details(kind: str, values: Any) -> str:
    if kind == "num_stats":
        return f"{values.min:g} to {values.max:g}, mean {values.mean:.3g}, median {values.median:g}"
    if kind == "string_stats":
        return f"{values.unique:,} distinct values, mean length {values.avg_length:.1f}"
    if kind == "bytes_stats":
        sizes = f"{values.min_num_bytes:,.0f} to {values.max_num_bytes:,.0f} bytes, mean {values.avg_num_bytes:,.0f}"
        return f"{values.unique:,} distinct values, {sizes}" if values.unique else sizes
    return ""


def _anomalies(run: Run) -> Iterator[tuple[str, Anomaly]]:
    for split, content in _split_files(run, ANOMALIES, ANOMALIES_FILE):
        try:
            yield from ((split, anomaly) for anomaly in parse_anomalies(content))
        except DecodeError:
            yield split, Anomaly("", "UNKNOWN", "the file of anomalies cannot be read")


def _split_files(run: Run, output: Output, name: str) -> Iterator[tuple[str, bytes]]:
    folder = run.folder(output)
    if folder is None:
        return
    for split in run.splits:
        path = split_folder(folder, split) / name
        if path.is_file():
            yield split, path.read_bytes()
