"""A run as the pipeline leaves it, made without running it: a real metadata store and the files that are read."""

import dataclasses
import gzip
import json
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import ml_metadata as mlmd
import pyarrow as pa
from ml_metadata.proto import metadata_store_pb2 as pb
from recorded_runs import RecordedRuns
from tensorflow_metadata.proto.v0 import anomalies_pb2, statistics_pb2
from tfx_bsl.coders.example_coder import RecordBatchToExamplesEncoder

from pipeline.records.connection import sqlite_config

SPLITS = ("train", "validation", "test")
# Node, outputs (key: type), inputs.
GRAPH: dict[str, tuple[dict[str, str], tuple[str, ...]]] = {
    "BackboneImporter": ({"model": "Model"}, ()),
    "TfdsExampleGen": ({"examples": "Examples"}, ()),
    "latest_blessed_model_resolver": ({}, ()),
    "ImageValidator": ({"quarantine": "Quarantine", "valid_examples": "Examples"}, ("TfdsExampleGen.examples",)),
    "StatisticsGen": ({"statistics": "ExampleStatistics"}, ("ImageValidator.valid_examples",)),
    "ExampleValidator": ({"anomalies": "ExampleAnomalies"}, ("StatisticsGen.statistics",)),
    "Trainer": (
        {"model": "Model", "model_run": "ModelRun"},
        ("ImageValidator.valid_examples", "BackboneImporter.model"),
    ),
    "Evaluator.validation": ({"evaluation": "ModelEvaluation"}, ("ImageValidator.valid_examples", "Trainer.model")),
    "Evaluator.test": (
        {"evaluation": "ModelEvaluation", "blessing": "ModelBlessing"},
        ("ImageValidator.valid_examples", "Trainer.model"),
    ),
    "DriftDetector": ({"drift": "Drift"}, ("ImageValidator.valid_examples",)),
    "LabelReviewer": ({"label_review": "LabelReview"}, ("ImageValidator.valid_examples",)),
    "Pusher": ({"pushed_model": "PushedModel"}, ("Trainer.model", "Evaluator.test.blessing")),
}


@dataclasses.dataclass
class MadeRun:
    """What a run holds; `write` puts it on disk."""

    output: Path
    class_names: list[str]
    photo: Callable[[int], bytes]
    run_id: str = "2031-05-06T07:08:09.000010"
    per_class: int = 4
    blessed: bool = True
    min_accuracy: float = 0.5
    failed_node: str = ""
    failure: str = ""
    license: str = "Apache-2.0"
    loss: float = 0.654321
    recipe: str = "reference"
    baseline_correct: int | None = None

    def photo_id(self, split: str, label: int, index: int) -> str:
        return f"{self.class_names[label]}/{split} {index}.jpg"

    @property
    def predictions(self) -> list[tuple[str, int, list[float]]]:
        """Of a split: (id suffix is the split's) index, label, probabilities; the last photo of a class is wrong."""
        rest = len(self.class_names) - 1
        rows = []
        for label in range(len(self.class_names)):
            for index in range(self.per_class):
                wrong = index == self.per_class - 1
                chosen = (label + 1) % len(self.class_names) if wrong else label
                confidence = 0.9 - 0.01 * label - 0.1 * index
                others = (1 - confidence) / rest
                rows.append((label, index, [confidence if c == chosen else others for c in range(rest + 1)]))
        return rows

    def metrics(self, split: str) -> dict[str, Any]:
        size = len(self.class_names)
        matrix = [[0] * size for _ in range(size)]
        for label, _, probabilities in self.predictions:
            matrix[label][probabilities.index(max(probabilities))] += 1
        total = self.per_class * size
        accuracy = sum(matrix[i][i] for i in range(size)) / total
        threshold = {"metric": "accuracy", "kind": "value", "direction": "lower", "bound": self.min_accuracy}
        threshold |= {"passed": self.blessed, "value": accuracy, "baseline": None}
        thresholds, baseline = [threshold], None
        if self.baseline_correct is not None:
            before = self.baseline_correct / total
            baseline = {"split": split, "examples": total, "accuracy": before, "loss": self.loss, "classes": []}
            baseline["confusion_matrix"] = [[self.baseline_correct]]
            thresholds.append({**threshold, "kind": "change", "bound": -0.02, "baseline": before})
        return {
            "split": split,
            "examples": total,
            "accuracy": accuracy,
            "loss": self.loss,
            "classes": [
                {"name": name, "examples": self.per_class, "precision": 0.75, "recall": 0.75, "f1_score": 0.75}
                for name in self.class_names
            ],
            "confusion_matrix": matrix,
            "baseline": baseline,
            "thresholds": thresholds if split == "test" else [],
            "serving_difference": 0.0,
        }

    def write(self) -> "MadeRun":
        store = mlmd.MetadataStore(sqlite_config(self.output / "metadata.sqlite"))
        runs, artifacts = RecordedRuns(store, self.output), {}
        for node, (outputs, inputs) in GRAPH.items():
            failed = node == self.failed_node
            made = runs.node(
                self.run_id,
                node,
                {name.rpartition(".")[2]: artifacts[name] for name in inputs},
                {} if failed else {key: (kind, self._properties(node, key)) for key, kind in outputs.items()},
                self._parameters(node),
                state=pb.Execution.FAILED if failed else pb.Execution.COMPLETE,
            )
            for key, artifact in made.items():
                artifacts[f"{node}.{key}"] = artifact
                self._write_files(node, key, Path(artifact.uri))
            if failed:
                break
        return self

    def _parameters(self, node: str) -> dict[str, str]:
        parameters = {"code_digest": f"digest-of-{node}"}
        if node == "Evaluator.test":
            threshold = {"value_threshold": {"lower_bound": self.min_accuracy}}
            metric = {"class_name": "SparseCategoricalAccuracy", "config": '"name": "accuracy"'}
            metric["per_slice_thresholds"] = [{"threshold": threshold}]
            parameters["eval_config"] = json.dumps({"metrics_specs": [{"metrics": [metric]}]})
        if node == "Trainer":
            hyperparameters = {"epochs": 2, "learning_rate": 0.001, "recipe": self.recipe}
            parameters["custom_config"] = json.dumps({"hyperparameters": hyperparameters})
        if node == self.failed_node:
            parameters["__execution_result__"] = json.dumps({"resultMessage": f"Traceback\n  File x\n{self.failure}\n"})
        return parameters

    def _properties(self, node: str, key: str) -> Mapping[str, Any]:
        if key in ("examples", "valid_examples"):
            counts = {split: dict.fromkeys(self.class_names, self.per_class) for split in SPLITS}
            return {
                "class_names": json.dumps(self.class_names),
                "class_counts": json.dumps(counts),
                "dataset_name": "made_flowers",
                "dataset_version": "1.2.3",
            }
        if key == "model" and node == "BackboneImporter":
            return {"backbone_handle": "made:backbone", "backbone_license": self.license, "backbone_digest": "abc123"}
        if key == "evaluation":
            split = node.rpartition(".")[2]
            return {"split": split, "accuracy": self.metrics(split)["accuracy"]}
        if key == "blessing":
            return {"blessed": int(self.blessed)}
        if key == "pushed_model":
            return {"pushed": 1, "pushed_destination": "/srv/made/7"} if self.blessed else {"pushed": 0}
        return {}

    def _write_files(self, node: str, key: str, uri: Path) -> None:
        if key in ("examples", "valid_examples"):
            for split in SPLITS:
                self._write_examples(uri / f"Split-{split}", split)
        for name, content in self._files(key, node.rpartition(".")[2]).items():
            path = uri / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode() + b"\n")

    def _files(self, key: str, split: str) -> dict[str, Any]:
        """Content by name: bytes, or what is written as JSON."""
        files = {
            "model_run": self._curve,
            "evaluation": lambda: self._evaluation(split),
            "label_review": self._label_review,
            "drift": lambda: {"drift.json": grown_class(self.class_names[0])},
            "quarantine": lambda: {
                "quarantine.json": self._quarantine_summary(),
                "quarantine.jsonl": self._listing_entry(),
            },
            "statistics": _statistics,
            "anomalies": _anomalies,
        }
        return files[key]() if key in files else {}

    def _curve(self) -> dict[str, Any]:
        names = ("epoch", "loss", "accuracy", "validation_loss", "validation_accuracy")
        epochs = [(1, 1.5, 0.5, 1.25, 0.625), (2, 1.0, 0.75, 1.5, 0.6)]
        return {"history.json": [dict(zip(names, epoch, strict=True)) for epoch in epochs]}

    def _evaluation(self, split: str) -> dict[str, Any]:
        lines = [
            json.dumps({"id": self.photo_id(split, label, index), "label": label, "probabilities": probabilities})
            for label, index, probabilities in self.predictions
        ]
        return {"metrics.json": self.metrics(split), "predictions.jsonl": "\n".join(lines).encode()}

    def _label_review(self) -> dict[str, Any]:
        first = {"id": self.photo_id("train", 0, 0), "split": "train", "label": self.class_names[0]}
        first |= {"suggested_label": self.class_names[1], "label_probability": 0.02, "suggested_probability": 0.97}
        photos = dict.fromkeys(SPLITS, self.per_class * len(self.class_names))
        summary = {"photos": photos, "doubtful": {"train": 1, "validation": 0, "test": 0}, "accuracy": 0.987}
        return {"label_review.json": summary, "label_review.jsonl": first}

    def _quarantine_summary(self) -> dict[str, Any]:
        total = self.per_class * len(self.class_names)
        return {
            "photos": {"train": total, "validation": total + 1, "test": total},
            "quarantined": {},
            "dropped_from_evaluation": {"cross_split_near_duplicate": 1},
            "moved_to_train": {},
            "duplicates_kept": {"exact": 0, "near": 0},
            "split_counts": dict.fromkeys(SPLITS, total),
            "class_counts": {},
            "formats": {"JPEG": 3 * total + 1},
            "color_modes": {"RGB": 3 * total + 1},
            "converted": {"HEIC": 2, "WebP": 1},
            "first_ids": {},
            "left_out": {"hidden": 1, "unsupported_suffix": 5},
            "left_out_suffixes": {"": 1, ".webp": 4},
            "odd_looking": {"half_empty": {"number": 1234, "examples": [["train", self.photo_id("train", 0, 1)]]}},
        }

    def _listing_entry(self) -> dict[str, Any]:
        return {
            "id": self.photo_id("validation", 0, 0),
            "split": "validation",
            "label": 0,
            "class_name": self.class_names[0],
            "action": "dropped_from_evaluation",
            "reason": "cross_split_near_duplicate",
            "detail": f"same picture as {self.photo_id('train', 0, 1)} in train",
            "duplicate_of": {"split": "train", "id": self.photo_id("train", 0, 1), "label": 0},
        }

    def _write_examples(self, folder: Path, split: str) -> None:
        folder.mkdir()
        ids, labels, images = [], [], []
        for label in range(len(self.class_names)):
            for index in range(self.per_class):
                ids.append([self.photo_id(split, label, index).encode("utf-8", "surrogateescape")])
                labels.append([label])
                images.append([self.photo(label)])
        columns = {"id": pa.array(ids), "label": pa.array(labels), "image": pa.array(images, pa.list_(pa.binary()))}
        batch = pa.RecordBatch.from_pydict(columns)
        records = RecordBatchToExamplesEncoder().encode(batch)
        with gzip.open(folder / "data_tfrecord-00000-of-00001.gz", "wb") as file:
            for record in records:
                file.write(struct.pack("<QI", len(record), 0) + record + struct.pack("<I", 0))


def grown_class(name: str) -> dict[str, Any]:
    """What DriftDetector finds when a class has grown."""
    shift = {"what": "labels", "measure": "largest change", "value": 0.125, "limit": 0.05, "p_value": 0.001}
    shift |= {"moved": True, "detail": f"{name} 20.0% before, 32.5% now"}
    entry = {"name": name, "share_before": 0.2, "share_now": 0.325, "auc": None}
    return {"photos": 12, "baseline_photos": 1234, "shifts": [shift], "classes": [entry], "remark": "why not"}


def _statistics() -> dict[str, Any]:
    statistics = statistics_pb2.DatasetFeatureStatisticsList()
    feature = statistics.datasets.add(num_examples=12).features.add(name="label")
    feature.num_stats.max = 2
    feature.num_stats.common_stats.num_non_missing = 11
    return {"Split-train/FeatureStats.pb": statistics.SerializeToString()}


def _anomalies() -> dict[str, Any]:
    anomalies = anomalies_pb2.Anomalies()
    anomalies.anomaly_info["label"].description = "A label is <missing>."
    anomalies.anomaly_info["label"].severity = anomalies_pb2.AnomalyInfo.WARNING
    return {"Split-test/SchemaDiff.pb": anomalies.SerializeToString()}
