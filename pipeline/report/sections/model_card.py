"""Model card, in the fields of the Model Card Toolkit's JSON schema v0.0.2.

After Mitchell et al., "Model cards for model reporting" (FAT* 2019).
"""

import datetime
import math
from collections.abc import Mapping
from typing import Any

from components import contracts
from components.common.stack import any_image_format
from components.contracts import nodes
from components.contracts.familiarity import FAMILIARITY_OUTPUT
from components.modeling.hyperparameters import REFERENCE, STRONG
from pipeline.records.parameters import step_parameters
from pipeline.records.run import Run
from pipeline.report.evaluations import Evaluation, load_evaluations
from pipeline.report.headline import make_headline
from pipeline.report.scores import Share
from pipeline.report.text import printable

SCHEMA_VERSION = "0.0.2"
_MAX_NAMED_CLASSES = 12
_DATA_LICENSES: Mapping[str, str] = {
    "tf_flowers": "Creative Commons Attribution (CC BY), photographer by photographer: see LICENSE.txt in the archive",
    "synthetic_flowers": "drawn by this project's own program: no photographs, no third-party rights",
}
_FROZEN = (
    "The backbone stays as it was pretrained: training takes seconds and little data, at the price of some accuracy "
    "against fine-tuning"
)
_FINE_TUNED = (
    "The backbone was trained as well: it fits these photos better, and others, perhaps, less than the pretrained one"
)
_OWN_PHOTOS_LICENSE = "not known to the pipeline: these are the user's own photos, under terms only the user knows"
_OTHER_DATA_LICENSE = "not known to the pipeline: see the data set's page in the TensorFlow Datasets catalog"


def load(run: Run) -> dict[str, Any]:
    """Writes the model card of a run; without evaluations it has no metrics.

    Returns:
        A JSON object that the Model Card Toolkit's schema accepts.
    """
    card = {
        "schema_version": SCHEMA_VERSION,
        "model_details": _details(run),
        "model_parameters": {
            "model_architecture": _architecture(run),
            "data": [_dataset(run)],
            "input_format": f"image_bytes, string [N]: encoded photos ({any_image_format()}); the model decodes, "
            "scales and resizes them itself",
            "output_format": "probabilities, float32 [N, C]; label, string [N]; score, float32 [N]: the most probable "
            f"class and its probability; {FAMILIARITY_OUTPUT}, float32 [N], if the model has it: the share "
            f"of validation photos that are less familiar. Classes: {', '.join(run.class_names)}",
        },
        "quantitative_analysis": {
            "performance_metrics": [m for evaluation in load_evaluations(run).values() for m in _metrics(evaluation)]
        },
        "considerations": _considerations(run),
    }
    return {name: _printable(section) for name, section in card.items()}


def data_license(run: Run) -> str:
    """Returns under which terms the photos may be used, as far as the pipeline knows."""
    example_gen = run.executions.get(nodes.EXAMPLE_GEN)
    if example_gen and example_gen.properties.get("photos"):
        return _OWN_PHOTOS_LICENSE
    dataset = run.examples_property(contracts.DATASET_NAME_PROPERTY)
    known = _DATA_LICENSES.get(dataset) or run.examples_property(contracts.DATASET_LICENSE_PROPERTY)
    return known or _OTHER_DATA_LICENSE


def backbone_properties(run: Run) -> Mapping[str, Any]:
    """Returns the custom properties of the backbone's artifact; empty before it was imported."""
    backbone = run.artifact(nodes.BACKBONE)
    return backbone.properties if backbone else {}


def _details(run: Run) -> dict[str, Any]:
    classes = len(run.class_names)
    ended = datetime.datetime.fromtimestamp(run.ended_ms / 1000, tz=datetime.timezone.utc).date()
    license_name = str(backbone_properties(run).get(contracts.BACKBONE_LICENSE_PROPERTY, contracts.UNKNOWN))
    known = license_name != contracts.UNKNOWN
    terms = {"identifier": license_name} if known else {"custom_text": "Backbone weights: licence unknown"}
    return {
        "name": f"{run.pipeline_name} photo classifier",
        "overview": f"Tells {classes} classes of photos apart: {_some_classes(run)}.",
        "documentation": "Transfer learning: a pretrained feature extractor (backbone), and a classification head "
        f"trained on its features by a TFX pipeline. Verdict of this run: {make_headline(run).verdict.lower()}.",
        "version": {"name": run.run_id, "date": ended.isoformat()},
        "licenses": [terms, {"custom_text": f"Data: {data_license(run)}"}],
    }


def _some_classes(run: Run) -> str:
    names = run.class_names
    more = f" and {len(names) - _MAX_NAMED_CLASSES:,} more" if len(names) > _MAX_NAMED_CLASSES else ""
    return ", ".join(names[:_MAX_NAMED_CLASSES]) + more


def _architecture(run: Run) -> str:
    backbone = backbone_properties(run)
    if not backbone:
        return contracts.UNKNOWN
    return (
        f"{backbone.get(contracts.BACKBONE_HANDLE_PROPERTY)} "
        f"({backbone.get(contracts.IMAGE_SIZE_PROPERTY)} pixels to {backbone.get(contracts.FEATURE_SIZE_PROPERTY)} "
        f"features; weights: {backbone.get(contracts.BACKBONE_SOURCE_PROPERTY)}; content digest "
        f"{backbone.get(contracts.BACKBONE_DIGEST_PROPERTY)}), then {_head(run)} and a softmax over the classes. It "
        f"computes in float32; features of training photos were computed in {_training_precision(run)}"
    )


def _training_precision(run: Run) -> str:
    features = run.artifact(nodes.FEATURES)
    return str(features.properties.get(contracts.PRECISION_PROPERTY, contracts.FLOAT32)) if features else "nothing yet"


def _head(run: Run) -> str:
    trainer = run.executions.get(nodes.TRAINER)
    parameters = step_parameters(trainer) if trainer else {}
    if parameters.get("custom_config.hyperparameters.recipe", REFERENCE) == STRONG:
        return "dense layers beside a kernel machine (recipe: strong), calibrated on the validation split,"
    return "a dense head (recipe: reference)"


def _dataset(run: Run) -> dict[str, Any]:
    totals = {split: sum(counts.values()) for split, counts in run.class_counts.items()}
    sizes = ", ".join(f"{totals[split]:,} {split}" for split in run.splits)
    return {
        "name": f"{run.examples_property(contracts.DATASET_NAME_PROPERTY)} "
        f"{run.examples_property(contracts.DATASET_VERSION_PROPERTY)}".strip(),
        "description": f"Photos used: {sizes or 'none yet'}. Training fits the head, validation chooses the epoch, "
        f"test decides on the blessing. Licence: {data_license(run)}.",
    }


def _metrics(evaluation: Evaluation) -> list[dict[str, Any]]:
    split = evaluation.split
    overall = [
        _metric("accuracy", evaluation.metrics.accuracy, split, evaluation.accuracy),
        _metric("loss", evaluation.metrics.loss, split),
    ]
    if evaluation.calibration_error is not None:
        overall.append(_metric("expected_calibration_error", evaluation.calibration_error, split))
    for entry in evaluation.classes:
        where = f"{split}, class {entry.name}"
        overall += [
            _metric("recall", entry.recall.value, where, entry.recall),
            _metric("precision", entry.precision.value, where, entry.precision),
            _metric("f1_score", entry.f1_score, where),
        ]
    # JSON knows no NaN.
    return [metric for metric in overall if math.isfinite(metric["value"])]


def _metric(kind: str, value: float, where: str, share: Share | None = None) -> dict[str, Any]:
    metric: dict[str, Any] = {"type": kind, "value": value, "slice": where}
    if share:
        metric["confidence_interval"] = {"lower_bound": share.low, "upper_bound": share.high}
    return metric


def _considerations(run: Run) -> dict[str, Any]:
    classes = _some_classes(run)
    limitations = [
        f"It answers every photo with one of its classes ({classes}), also photos of anything else: a low score is a "
        f"hint, a low {FAMILIARITY_OUTPUT} a better one, and neither a test for unknown subjects.",
        "Photos unlike the training data (other cameras, drawings, close-ups, several subjects at once) may be "
        "classified worse than the figures here say.",
        "The intervals cover chance in the choice of the test photos, not a change of the kind of photos.",
    ]
    return {
        "users": [{"description": "Developers who build on it, and people who study transfer learning"}],
        "use_cases": [
            {"description": f"Sorting, tagging and searching photos that show one of: {classes}"},
            {"description": "Not for decisions on safety, health or law, such as telling edible from toxic plants"},
        ],
        "limitations": [{"description": text} for text in limitations],
        "tradeoffs": [{"description": _FINE_TUNED if nodes.FINE_TUNING in run.executions else _FROZEN}],
        "ethical_considerations": [
            {
                "name": "The backbone's pretraining data brings the biases of photos from the web",
                "mitigation_strategy": "Metrics are reported per class; check them on photos of your own use",
            }
        ],
    }


def _printable(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _printable(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_printable(entry) for entry in value]
    return printable(value)
