"""A run as the pipeline leaves it, made without running it: a real metadata store and the files that are read."""

import dataclasses
import gzip
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_metadata as mlmd
import pyarrow as pa
from drift_findings import grown_class
from ml_metadata.proto import metadata_store_pb2 as pb
from tensorflow_metadata.proto.v0 import anomalies_pb2, statistics_pb2
from tfx_bsl.coders.example_coder import RecordBatchToExamplesEncoder

from pipeline.records.connection import sqlite_config

PIPELINE = "made"
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
    executions: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)

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
        contexts = {kind: self._context(store, kind, name) for kind, name in self._context_names().items()}
        parent = pb.ParentContext(parent_id=contexts["pipeline"], child_id=contexts["pipeline_run"])
        store.put_parent_contexts([parent])
        artifacts: dict[str, int] = {}
        for position, (node, (outputs, inputs)) in enumerate(GRAPH.items()):
            failed = node == self.failed_node
            self._put_node(store, contexts, artifacts, (node, {} if failed else outputs, inputs), position)
            if failed:
                break
        return self

    def _context_names(self) -> dict[str, str]:
        return {"pipeline": PIPELINE, "pipeline_run": self.run_id}

    def _context(self, store: mlmd.MetadataStore, kind: str, name: str) -> int:
        type_id = store.put_context_type(pb.ContextType(name=kind))
        found = store.get_context_by_type_and_name(kind, name)
        return found.id if found else store.put_contexts([pb.Context(type_id=type_id, name=name)])[0]

    def _put_node(
        self,
        store: mlmd.MetadataStore,
        contexts: dict[str, int],
        artifacts: dict[str, int],
        node: tuple[str, dict[str, str], tuple[str, ...]],
        position: int,
    ) -> None:
        name, outputs, inputs = node
        failed = name == self.failed_node
        execution = pb.Execution(
            type_id=store.put_execution_type(pb.ExecutionType(name=f"type.{name}")),
            last_known_state=pb.Execution.FAILED if failed else pb.Execution.COMPLETE,
        )
        for key, value in self._properties(name).items():
            execution.custom_properties[key].string_value = value
        pairs = []
        for source in inputs:
            event = pb.Event(type=pb.Event.INPUT, artifact_id=artifacts[source])
            event.path.steps.add().key = source.rpartition(".")[2]
            pairs.append((store.get_artifacts_by_id([artifacts[source]])[0], event))
        for key, kind in outputs.items():
            uri = self.output / "pipelines" / PIPELINE / name / key / str(position)
            uri.mkdir(parents=True)
            artifact = pb.Artifact(type_id=store.put_artifact_type(pb.ArtifactType(name=kind)), uri=str(uri))
            for property_name, value in self._fill(name, key, uri).items():
                kinds = {str: "string_value", int: "int_value", float: "double_value"}
                setattr(artifact.custom_properties[property_name], kinds[type(value)], value)
            event = pb.Event(type=pb.Event.OUTPUT)
            event.path.steps.add().key = key
            pairs.append((artifact, event))
        node_context = self._context(store, "node", f"{PIPELINE}.{name}")
        all_contexts = store.get_contexts_by_id([*contexts.values(), node_context])
        _, ids, _ = store.put_execution(execution, pairs, all_contexts)
        for (_, event), artifact_id in zip(pairs, ids, strict=True):
            if event.type == pb.Event.OUTPUT:
                artifacts[f"{name}.{event.path.steps[0].key}"] = artifact_id

    def _properties(self, node: str) -> dict[str, str]:
        properties = {"code_digest": f"digest-of-{node}", **self.executions.get(node, {})}
        if node == "Evaluator.test":
            threshold = {"value_threshold": {"lower_bound": self.min_accuracy}}
            metric = {"class_name": "SparseCategoricalAccuracy", "config": '"name": "accuracy"'}
            metric["per_slice_thresholds"] = [{"threshold": threshold}]
            properties["eval_config"] = json.dumps({"metrics_specs": [{"metrics": [metric]}]})
        if node == "Trainer":
            properties["custom_config"] = json.dumps(
                {"hyperparameters": {"epochs": 2, "learning_rate": 0.001, "recipe": self.recipe}}
            )
        if node == self.failed_node:
            properties["__execution_result__"] = json.dumps({"resultMessage": f"Traceback\n  File x\n{self.failure}\n"})
        return properties

    def _fill(self, node: str, key: str, uri: Path) -> dict[str, Any]:
        """Writes an artifact's files; returns its custom properties."""
        if key in ("examples", "valid_examples"):
            for split in SPLITS:
                self._write_examples(uri / f"Split-{split}", split)
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
            return self._write_evaluation(uri, node.rpartition(".")[2])
        if key == "blessing":
            return {"blessed": int(self.blessed)}
        if key == "pushed_model":
            return {"pushed": 1, "pushed_destination": "/srv/made/7"} if self.blessed else {"pushed": 0}
        if key == "model_run":
            entries = [
                {"epoch": 1, "loss": 1.5, "accuracy": 0.5, "validation_loss": 1.25, "validation_accuracy": 0.625},
                {"epoch": 2, "loss": 1.0, "accuracy": 0.75, "validation_loss": 1.5, "validation_accuracy": 0.6},
            ]
            (uri / "history.json").write_text(json.dumps(entries))
        for name, content in self._check_files(key).items():
            path = uri / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return {}

    def _check_files(self, key: str) -> dict[str, bytes]:
        if key == "label_review":
            first = {"id": self.photo_id("train", 0, 0), "split": "train", "label": self.class_names[0]}
            first |= {"suggested_label": self.class_names[1], "label_probability": 0.02, "suggested_probability": 0.97}
            photos = {split: self.per_class * len(self.class_names) for split in SPLITS}
            summary = {"photos": photos, "doubtful": {"train": 1, "validation": 0, "test": 0}, "accuracy": 0.987}
            listing = json.dumps(first).encode() + b"\n"
            return {"label_review.json": json.dumps(summary).encode(), "label_review.jsonl": listing}
        if key == "drift":
            return {"drift.json": json.dumps(grown_class(self.class_names[0])).encode()}
        if key == "quarantine":
            return {
                "quarantine.json": json.dumps(self._quarantine_summary()).encode(),
                "quarantine.jsonl": json.dumps(self._listing_entry()).encode() + b"\n",
            }
        if key == "statistics":
            statistics = statistics_pb2.DatasetFeatureStatisticsList()
            feature = statistics.datasets.add(num_examples=12).features.add(name="label")
            feature.num_stats.max = 2
            feature.num_stats.common_stats.num_non_missing = 11
            return {"Split-train/FeatureStats.pb": statistics.SerializeToString()}
        if key == "anomalies":
            anomalies = anomalies_pb2.Anomalies()
            anomalies.anomaly_info["label"].description = "A label is <missing>."
            anomalies.anomaly_info["label"].severity = anomalies_pb2.AnomalyInfo.WARNING
            return {"Split-test/SchemaDiff.pb": anomalies.SerializeToString()}
        return {}

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

    def _write_evaluation(self, uri: Path, split: str) -> dict[str, Any]:
        metrics = self.metrics(split)
        (uri / "metrics.json").write_text(json.dumps(metrics))
        with (uri / "predictions.jsonl").open("w") as file:
            for label, index, probabilities in self.predictions:
                line = {"id": self.photo_id(split, label, index), "label": label, "probabilities": probabilities}
                file.write(json.dumps(line) + "\n")
        return {"split": split, "accuracy": metrics["accuracy"]}
