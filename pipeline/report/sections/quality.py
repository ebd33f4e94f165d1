"""Data quality: what ImageValidator left out, and what TFDV says about the rest."""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError
from tensorflow_metadata.proto.v0 import anomalies_pb2, statistics_pb2

from components.contracts.nodes import ANOMALIES, EXAMPLES, QUARANTINE, STATISTICS, Output
from components.contracts.quarantine import LISTING_FILE, SUMMARY_FILE, QuarantineEntry, QuarantineSummary
from pipeline.records.run import Run
from pipeline.report.photos import Album, PhotoKey, make_album, split_folder

_MAX_LISTED = 200
_MAX_DUPLICATES = 12


@dataclasses.dataclass(frozen=True)
class Validation:
    """ImageValidator's findings.

    Attributes:
        summary: Its counts.
        listing: The first photos that were left out or moved.
        num_listed: How many there are.
        duplicates: The first of those photos that show a picture that another split, or another class, has as well.
        num_duplicates: How many there are.
    """

    summary: QuarantineSummary
    listing: Sequence[QuarantineEntry]
    num_listed: int
    duplicates: Sequence[QuarantineEntry]
    num_duplicates: int

    @property
    def photo_keys(self) -> set[PhotoKey]:
        """Splits and ids of the duplicates and of the photos that they repeat."""
        others = {(other.split, other.id) for entry in self.duplicates if (other := entry.duplicate_of)}
        return others | {(entry.split, entry.id) for entry in self.duplicates}


def load_validation(run: Run) -> Validation | None:
    """Reads the Quarantine artifact; None when the run has none."""
    summary = run.json(QUARANTINE, SUMMARY_FILE, QuarantineSummary)
    if summary is None:
        return None
    listing = run.json_lines(QUARANTINE, LISTING_FILE, QuarantineEntry)
    duplicates = [entry for entry in listing if entry.duplicate_of]
    return Validation(summary, listing[:_MAX_LISTED], len(listing), duplicates[:_MAX_DUPLICATES], len(duplicates))


@dataclasses.dataclass(frozen=True)
class FeatureStatistics:
    """TFDV's statistics on a feature of a split.

    Attributes:
        feature: Its name.
        split: The split.
        kind: TFDV's type, such as "INT" or "BYTES".
        present: Examples that have it.
        missing: Examples that lack it.
        details: What the type offers: range, mean, distinct values, lengths.
    """

    feature: str
    split: str
    kind: str
    present: int
    missing: int
    details: str


@dataclasses.dataclass(frozen=True)
class Anomaly:
    """Something in a split that contradicts the schema."""

    split: str
    feature: str
    severity: str
    description: str


@dataclasses.dataclass(frozen=True)
class Quality:
    """All of the section.

    Attributes:
        validation: ImageValidator's findings; None without any.
        duplicates: Pictures of photos that were left out or moved, and of those they repeat.
        statistics: TFDV's statistics.
        anomalies: TFDV's anomalies; None when they were not looked for.
    """

    validation: Validation | None
    duplicates: Album
    statistics: list[FeatureStatistics]
    anomalies: list[Anomaly] | None


def load(run: Run) -> Quality:
    """Reads what the validating components left."""
    validation = load_validation(run)
    # Photos that were left out are only in the examples that ImageValidator was given.
    duplicates = make_album(run.folder(EXAMPLES), wanted=validation.photo_keys if validation else frozenset())
    return Quality(validation, duplicates, load_statistics(run), load_anomalies(run))


def load_statistics(run: Run) -> list[FeatureStatistics]:
    """Reads StatisticsGen's output, feature by feature; empty when the run has none."""
    rows: list[FeatureStatistics] = []
    for split, data in _split_files(run, STATISTICS, "FeatureStats.pb"):
        message = statistics_pb2.DatasetFeatureStatisticsList()
        try:
            message.ParseFromString(data)
        except DecodeError:
            continue
        for dataset in message.datasets:
            rows += [_feature_row(split, feature, dataset.num_examples) for feature in dataset.features]
    return sorted(rows, key=lambda row: (row.feature, run.splits.index(row.split)))


def _feature_row(split: str, feature: statistics_pb2.FeatureNameStatistics, num_examples: int) -> FeatureStatistics:
    kind = feature.WhichOneof("stats") or ""
    values = getattr(feature, kind) if kind else None
    common = values.common_stats if values is not None else statistics_pb2.CommonStatistics()
    return FeatureStatistics(
        feature=feature.name or ".".join(feature.path.step),
        split=split,
        kind=statistics_pb2.FeatureNameStatistics.Type.Name(feature.type),
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


def load_anomalies(run: Run) -> list[Anomaly] | None:
    """Reads ExampleValidator's output; None when the run has none, empty when nothing contradicts the schema."""
    if run.folder(ANOMALIES) is None:
        return None
    found: list[Anomaly] = []
    for split, data in _split_files(run, ANOMALIES, "SchemaDiff.pb"):
        message = anomalies_pb2.Anomalies()
        try:
            message.ParseFromString(data)
        except DecodeError:
            found.append(Anomaly(split, "", "UNKNOWN", "the file of anomalies cannot be read"))
            continue
        found += [
            Anomaly(split, name, anomalies_pb2.AnomalyInfo.Severity.Name(info.severity), info.description)
            for name, info in sorted(message.anomaly_info.items())
        ]
        if message.HasField("dataset_anomaly_info"):
            info = message.dataset_anomaly_info
            found.append(Anomaly(split, "", anomalies_pb2.AnomalyInfo.Severity.Name(info.severity), info.description))
    return found


def _split_files(run: Run, output: Output, name: str) -> Iterator[tuple[str, bytes]]:
    folder = run.folder(output)
    for split in run.splits if folder else ():
        path = Path(str(folder)) / split_folder(split) / name
        if path.is_file():
            yield split, path.read_bytes()
