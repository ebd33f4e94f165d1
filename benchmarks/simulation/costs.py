"""Costs per photo, from benchmarks: of whole runs at several sizes, of stored bytes, of what single processes do."""

from collections.abc import Mapping
from typing import Any, Final

from benchmarks.simulation.model import StepCost
from components.contracts.nodes import (
    EVALUATOR_TEST,
    EVALUATOR_VALIDATION,
    EXAMPLE_GEN,
    FEATURE_EXTRACTOR,
    IMAGE_VALIDATOR,
    TRAINER,
)
from components.storage.examples_io import EXAMPLES_PER_SHARD

STATISTICS_GEN: Final = "StatisticsGen"
TRANSFORM: Final = "Transform"
REPORT: Final = "report"
_EVALUATED_SHARE: Final = 0.25  # of each of the two splits
_TRAINED_ON_SHARE: Final = 0.75  # training and validation split
# SHA-256 and both perceptual hashes, with their keys; once to drop equal files, and once for each band.
_CONTENT_BYTES: Final = 70
# 1,280 float32, as EfficientNet-Lite0 has them, the id and a digest; files are compressed, shuffles are not.
_FEATURE_EXAMPLE_BYTES: Final = 5_300
# `beam.Create` has its elements in the job's description, base64 in what Dataflow gets.
_IN_TEXT: Final = 4 / 3
_FILE_NAME_BYTES: Final = _IN_TEXT * len("validation, data_tfrecord-00000-of-00000.gz")


def load_costs(
    runs: Mapping[str, Any], stored: Mapping[str, Any], single: Mapping[str, float], epochs: int, bands: int
) -> list[StepCost]:
    """Returns the costs of the components that grow with the photos.

    What does not grow, such as imports, is not in them: a cost is the difference between the two largest runs, per
    photo between them.

    Args:
        runs: What `benchmarks.run --only-scaling` wrote.
        stored: What `benchmarks.stored_bytes` wrote.
        single: What `benchmarks.simulation.single_process` wrote.
        epochs: Passes over the training split.
        bands: Of a perceptual hash.
    """
    *_, first, last = runs["scaling"]
    more = last["photos"] - first["photos"]
    # Results without CPU seconds by component: theirs are shared out by wall seconds.
    cores_in_use = (last["cpu_seconds"] - first["cpu_seconds"]) / (last["wall_seconds"] - first["wall_seconds"])

    def cpu(name: str) -> float:
        if "component_cpu_seconds" in last:
            seconds = last["component_cpu_seconds"][name] - first["component_cpu_seconds"][name]
        else:
            seconds = cores_in_use * (last["component_seconds"][name] - first["component_seconds"][name])
        return max(0.0, seconds / more)

    def written(name: str) -> float:
        return float(stored["stored_bytes"].get(name, 0) / stored["photos"])

    def evaluator(name: str) -> StepCost:
        serial = _EVALUATED_SHARE * single["prediction_s"]
        lines = _EVALUATED_SHARE * single["line_bytes"]
        return StepCost(name, max(0.0, cpu(name) - serial), serial, stored_bytes=lines)

    features = written(FEATURE_EXTRACTOR)
    return [
        StepCost(
            EXAMPLE_GEN,
            cpu(EXAMPLE_GEN),
            serial_s=single["listing_s"],
            shuffled_bytes=single["listed_bytes"],
            stored_bytes=written(EXAMPLE_GEN),
            held_bytes=single["listing_bytes"],
            job_bytes=_IN_TEXT * single["listed_bytes"],
        ),
        StepCost(
            IMAGE_VALIDATOR,
            cpu(IMAGE_VALIDATOR),
            shuffled_bytes=single["checked_bytes"] + _CONTENT_BYTES * (1 + bands),
            stored_bytes=written(IMAGE_VALIDATOR),
            job_bytes=2 * _FILE_NAME_BYTES / EXAMPLES_PER_SHARD,
            pair_s=single["pair_s"],
            bands=bands,
        ),
        StepCost(STATISTICS_GEN, cpu(STATISTICS_GEN)),
        # Reads the schema alone: nothing of preprocessing is learned from the photos.
        StepCost(TRANSFORM),
        StepCost(
            FEATURE_EXTRACTOR,
            cpu(FEATURE_EXTRACTOR),
            shuffled_bytes=_FEATURE_EXAMPLE_BYTES,
            stored_bytes=features,
            job_bytes=_FILE_NAME_BYTES / EXAMPLES_PER_SHARD,
        ),
        StepCost(
            TRAINER,
            serial_s=cpu(TRAINER) * epochs / runs["epochs"],
            serial_bytes=_TRAINED_ON_SHARE * features * epochs,
            beam=False,
        ),
        evaluator(EVALUATOR_VALIDATION),
        evaluator(EVALUATOR_TEST),
        StepCost(
            REPORT,
            serial_s=2 * _EVALUATED_SHARE * single["report_s"],
            held_bytes=2 * _EVALUATED_SHARE * single["report_bytes"],
            beam=False,
        ),
    ]
