"""Costs per photo, from a benchmark of whole runs at two sizes and one of what single processes do."""

from collections.abc import Mapping
from typing import Any, Final

from benchmarks.simulation.model import StepCost
from components.common.contracts.nodes import (
    EVALUATOR_TEST,
    EVALUATOR_VALIDATION,
    EXAMPLE_GEN,
    FEATURE_EXTRACTOR,
    IMAGE_VALIDATOR,
    TRAINER,
)

STATISTICS_GEN: Final = "StatisticsGen"
TRANSFORM: Final = "Transform"
REPORT: Final = "report"
_EVALUATED_SHARE: Final = 0.25  # of each of the two splits
_TRAINED_ON_SHARE: Final = 0.75  # training and validation split
# SHA-256 and both perceptual hashes, with their keys; once to drop equal files, and once for each band.
_CONTENT_BYTES: Final = 70


def load_costs(runs: Mapping[str, Any], single: Mapping[str, float], epochs: int, bands: int) -> list[StepCost]:
    """Returns the costs of the components that grow with the photos.

    What does not grow, such as imports, is not in them: a cost is the difference between the largest run and the
    smallest one, per photo between them.

    Args:
        runs: What `benchmarks.run --only-scaling` wrote.
        single: What `benchmarks.simulation.single_process` wrote.
        epochs: Passes over the training split.
        bands: Of a perceptual hash.
    """
    first, *_, last = runs["scaling"]
    more = last["photos"] - first["photos"]

    def cpu(name: str) -> float:
        seconds = "component_cpu_seconds"
        return max(0.0, (last[seconds][name] - first[seconds][name]) / more)

    def stored(name: str) -> float:
        return last["stored_bytes"].get(name, 0) / last["photos"]

    def evaluator(name: str) -> StepCost:
        serial = _EVALUATED_SHARE * single["prediction_s"]
        lines = _EVALUATED_SHARE * single["line_bytes"]
        return StepCost(name, max(0.0, cpu(name) - serial), serial, stored_bytes=lines)

    features = stored(FEATURE_EXTRACTOR)
    return [
        StepCost(
            EXAMPLE_GEN,
            cpu(EXAMPLE_GEN),
            serial_s=single["listing_s"],
            shuffled_bytes=single["listed_bytes"],
            stored_bytes=stored(EXAMPLE_GEN),
            held_bytes=single["listing_bytes"],
        ),
        StepCost(
            IMAGE_VALIDATOR,
            cpu(IMAGE_VALIDATOR),
            shuffled_bytes=single["checked_bytes"] + _CONTENT_BYTES * (1 + bands),
            stored_bytes=stored(IMAGE_VALIDATOR),
            pair_s=single["pair_s"],
            bands=bands,
        ),
        StepCost(STATISTICS_GEN, cpu(STATISTICS_GEN)),
        # Reads the schema alone: nothing of preprocessing is learned from the photos.
        StepCost(TRANSFORM),
        StepCost(FEATURE_EXTRACTOR, cpu(FEATURE_EXTRACTOR), shuffled_bytes=features, stored_bytes=features),
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
