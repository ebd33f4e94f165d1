"""Writes runs into a real ML Metadata store the way TFX does, files included, without running anything."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ml_metadata as mlmd
from ml_metadata.proto import metadata_store_pb2 as pb

from components.contracts.evaluation import ThresholdResult

PIPELINE = "flowers"
CLASSES = ["daisy", "roses", "tulips"]
# Photo id -> (label, predicted class)
Predictions = Mapping[str, tuple[int, int]]
Artifacts = Mapping[str, pb.Artifact]


def predictions(wrong: Sequence[int], count: int = 100, prefix: str = "photo") -> dict[str, tuple[int, int]]:
    """Predictions of `count` test photos, those of the given numbers wrong."""
    return {f"{prefix}-{i}": (i % 3, (i + (i in wrong)) % 3) for i in range(count)}


class RecordedRuns:
    """Records runs of one pipeline below an output folder."""

    def __init__(self, store: mlmd.MetadataStore, output: Path):
        self.store = store
        self.output = output
        self.models: dict[str, pb.Artifact] = {}
        self._pipeline = self._context("pipeline", PIPELINE)

    def add(
        self,
        run_id: str,
        test: Predictions,
        *,
        min_accuracy: float = 0.7,
        max_drop: float = 0.02,
        epochs: int = 10,
        baseline: str | None = None,
        examples: pb.Artifact | None = None,
        thresholds: Sequence[ThresholdResult] = (),
        edition: str = "",
        ignored_baseline: str | None = None,
    ) -> dict[str, pb.Artifact]:
        """Records a complete run; `examples` of an earlier run come from the cache. Returns artifacts by key.

        `thresholds` come after those on accuracy; test photos of another `edition` have other bytes. The classes of
        `ignored_baseline`, a run, are taken to be others.
        """
        made = self.start(run_id, examples)
        made |= self.node(
            run_id, "FeatureExtractor", {"examples": made["valid_examples"], "backbone": made["model"]},
            {"features": ("Examples", {"dataset_name": "flowers"})},
        )  # fmt: skip
        trainer = {"custom_config": json.dumps({"hyperparameters": {"epochs": epochs}, "code_digest": "c0de"})}
        made["backbone"] = made["model"]
        made |= self.node(
            run_id, "Trainer", {"examples": made["features"], "base_model": made["backbone"]},
            {"model": ("Model", {}), "model_run": ("ModelRun", {})}, trainer,
        )  # fmt: skip
        (Path(made["model_run"].uri) / "train").mkdir()
        self.models[run_id] = made["model"]
        self._evaluate(
            run_id, made, test, min_accuracy=min_accuracy, max_drop=max_drop, baseline=baseline, others=thresholds,
            edition=edition, ignored_baseline=ignored_baseline,
        )  # fmt: skip
        self._push(run_id, made)
        return made

    def start(self, run_id: str, examples: pb.Artifact | None = None) -> dict[str, pb.Artifact]:
        """Records the nodes before feature extraction."""
        dataset = {
            "dataset_name": "flowers",
            "dataset_version": "1.0.0",
            "split_counts": '{"train": 5, "test": 100}',
            "class_names": json.dumps(CLASSES),
            "class_counts": json.dumps({split: dict.fromkeys(CLASSES, 9) for split in ("train", "validation", "test")}),
        }
        made = self.node(
            run_id, "BackboneImporter", {}, {"model": ("Model", {"backbone_handle": "hub"})}, {"backbone": "tiny"}
        )
        parameters = {"dataset": "flowers", "photos": "", "seed": 0}
        if examples:
            self._execution(run_id, "TfdsExampleGen", {}, {"examples": examples}, parameters, state=pb.Execution.CACHED)
            made["examples"] = examples
        else:
            made |= self.node(run_id, "TfdsExampleGen", {}, {"examples": ("Examples", dataset)}, parameters)
        inputs = {"examples": made["examples"]}
        return made | self.node(run_id, "ImageValidator", inputs, {"valid_examples": ("Examples", dataset)})

    def node(
        self,
        run_id: str,
        node: str,
        inputs: Artifacts,
        outputs: Mapping[str, tuple[str, Mapping[str, Any]]],
        parameters: Mapping[str, Any] | None = None,
        *,
        state: int = pb.Execution.COMPLETE,
    ) -> dict[str, pb.Artifact]:
        """Records one execution with new output artifacts, each with a folder."""
        made = {}
        for key, (type_name, properties) in outputs.items():
            uri = self.output / "pipelines" / PIPELINE / node / key / run_id
            uri.mkdir(parents=True)
            artifact = pb.Artifact(uri=str(uri), type_id=self._type(type_name), state=pb.Artifact.LIVE)
            _set(artifact.custom_properties, properties)
            made[key] = artifact
        return self._execution(run_id, node, inputs, made, parameters or {}, state=state)

    def _evaluate(
        self, run_id: str, made: dict[str, pb.Artifact], test: Predictions, *, min_accuracy: float, max_drop: float,
        baseline: str | None, others: Sequence[ThresholdResult], edition: str, ignored_baseline: str | None,
    ) -> None:  # fmt: skip
        measured = _metrics(test)
        config = json.dumps({"metrics_specs": [{"metrics": [_metric_config(min_accuracy, max_drop)]}]})
        inputs = {"examples": made["features"], "model": made["model"]}
        measured["baseline"] = None
        if ignored_baseline:
            inputs["baseline_model"] = self.models[ignored_baseline]
            measured["ignored_baseline_classes"] = ["cat", "dog"]
        thresholds = [_threshold("value", min_accuracy, measured["accuracy"])]
        if baseline:
            inputs["baseline_model"] = self.models[baseline]
            measured["baseline"] = _model_metrics(json.loads(self._metrics_file(baseline).read_text()))
            change = measured["accuracy"] - measured["baseline"]["accuracy"]
            thresholds.append(_threshold("change", -max_drop, change, measured["accuracy"]))
        thresholds += map(dataclasses.asdict, others)
        measured |= {"thresholds": thresholds, "serving_difference": 0.0}
        for split in ("validation", "test"):
            properties = {"split": split, "accuracy": measured["accuracy"]}
            outputs: dict[str, tuple[str, Mapping[str, Any]]] = {"evaluation": ("ModelEvaluation", properties)}
            if split == "test":
                outputs["blessing"] = (
                    "ModelBlessing",
                    {"blessed": int(all(threshold["passed"] for threshold in thresholds))},
                )
            new = self.node(run_id, f"Evaluator.{split}", inputs, outputs, {"eval_config": config})
            folder = Path(new["evaluation"].uri)
            (folder / "metrics.json").write_text(json.dumps(measured | {"split": split}))
            with (folder / "predictions.jsonl").open("w") as file:
                for photo, (label, predicted) in test.items():
                    probabilities = [0.8 if index == predicted else 0.1 for index in range(len(CLASSES))]
                    line = {"id": photo, "label": label, "probabilities": probabilities, "digest": edition + photo}
                    file.write(json.dumps(line) + "\n")
            made |= new

    def _metrics_file(self, run_id: str) -> Path:
        return self.output / "pipelines" / PIPELINE / "Evaluator.test" / "evaluation" / run_id / "metrics.json"

    def _push(self, run_id: str, made: dict[str, pb.Artifact]) -> None:
        version = self.output / "serving_model" / PIPELINE / str(100 + len(self.models))
        blessed = made["blessing"].custom_properties["blessed"].int_value
        properties = {"pushed": 1, "pushed_destination": str(version)} if blessed else {"pushed": 0}
        if blessed:
            version.mkdir(parents=True)
        inputs = {"model": made["model"], "model_blessing": made["blessing"]}
        made |= self.node(run_id, "Pusher", inputs, {"pushed_model": ("PushedModel", properties)})

    def _execution(
        self,
        run_id: str,
        node: str,
        inputs: Artifacts,
        outputs: Artifacts,
        parameters: Mapping[str, Any],
        *,
        state: int,
    ) -> dict[str, pb.Artifact]:
        execution_type = self.store.put_execution_type(pb.ExecutionType(name=f"components.{node.partition('.')[0]}"))
        execution = pb.Execution(type_id=execution_type, last_known_state=state)
        _set(execution.custom_properties, parameters)
        pairs = [(artifact, _event(key, pb.Event.INPUT)) for key, artifact in inputs.items()]
        pairs += [(artifact, _event(key, pb.Event.OUTPUT)) for key, artifact in outputs.items()]
        run = self._context("pipeline_run", run_id, parent=self._pipeline)
        contexts = [self._pipeline, run, self._context("node", f"{PIPELINE}.{node}")]
        _, artifact_ids, _ = self.store.put_execution(execution, pairs, contexts, reuse_context_if_already_exist=True)
        ids = artifact_ids[len(inputs) :]
        return {key: self.store.get_artifacts_by_id([id_])[0] for key, id_ in zip(outputs, ids, strict=True)}

    def _context(self, type_name: str, name: str, parent: pb.Context | None = None) -> pb.Context:
        found = self.store.get_context_by_type_and_name(type_name, name)
        if found is None:
            type_id = self.store.put_context_type(pb.ContextType(name=type_name))
            (context_id,) = self.store.put_contexts([pb.Context(type_id=type_id, name=name)])
            if parent:
                self.store.put_parent_contexts([pb.ParentContext(child_id=context_id, parent_id=parent.id)])
            found = self.store.get_contexts_by_id([context_id])[0]
        return found

    def _type(self, name: str) -> int:
        return self.store.put_artifact_type(pb.ArtifactType(name=name))


def _event(key: str, kind: int) -> pb.Event:
    steps = [pb.Event.Path.Step(key=key), pb.Event.Path.Step(index=0)]
    return pb.Event(type=kind, path=pb.Event.Path(steps=steps))


def _set(target: Any, values: Mapping[str, Any]) -> None:
    fields = {str: "string_value", int: "int_value", float: "double_value"}
    for name, value in values.items():
        setattr(target[name], fields[type(value)], value)


def _threshold(kind: str, bound: float, measured: float, value: float | None = None) -> dict[str, Any]:
    accuracy, baseline = (measured, None) if value is None else (value, value - measured)
    result = {"metric": "accuracy", "kind": kind, "direction": "lower", "bound": bound, "passed": measured >= bound}
    return result | {"value": accuracy, "baseline": baseline}


def _metric_config(min_accuracy: float, max_drop: float) -> dict[str, Any]:
    threshold = {
        "value_threshold": {"lower_bound": min_accuracy},
        "change_threshold": {"direction": "HIGHER_IS_BETTER", "absolute": -max_drop},
    }
    per_slice = [{"slicing_specs": [{}], "threshold": threshold}]
    return {
        "class_name": "SparseCategoricalAccuracy",
        "config": '"name": "accuracy"',
        "per_slice_thresholds": per_slice,
    }


def _model_metrics(content: dict[str, Any]) -> dict[str, Any]:
    """What `metrics.json` says of the model alone."""
    return {name: content[name] for name in _metrics({"photo": (0, 0)})}


def _metrics(test: Predictions) -> dict[str, Any]:
    right = sum(label == predicted for label, predicted in test.values())
    classes = []
    for index, name in enumerate(CLASSES):
        own = [label == predicted for label, predicted in test.values() if label == index]
        classes.append(
            {
                "name": name,
                "examples": len(own),
                "recall": sum(own) / max(len(own), 1),
                "precision": 0.5,
                "f1_score": 0.5,
            }
        )
    pairs = list(test.values())
    matrix = [[pairs.count((i, j)) for j in range(len(CLASSES))] for i in range(len(CLASSES))]
    metrics = {"examples": len(test), "accuracy": right / len(test), "loss": 0.5}
    return metrics | {"split": "test", "classes": classes, "confusion_matrix": matrix}
