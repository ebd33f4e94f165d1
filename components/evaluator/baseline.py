"""The earlier model that a new one is compared with."""

import logging

import ml_metadata as mlmd
from tfx import types
from tfx.dsl.input_resolution.strategies import latest_blessed_model_strategy
from tfx.types.standard_component_specs import BASELINE_MODEL_KEY

from components.contracts.drift import DRIFT_KEY
from components.contracts.serving_folder import BASELINE_VERSION_PROPERTY, NO_VERSION

logger = logging.getLogger(__name__)

MODEL_KEY = "model"
BLESSING_KEY = "model_blessing"
CANDIDATE_KEY = "candidate"


class LatestOtherBlessedModelStrategy(latest_blessed_model_strategy.LatestBlessedModelStrategy):
    """Resolves the latest blessed model other than the candidate, and DriftDetector's output for it.

    In a repeated or resumed run, the candidate can be the latest blessed model: TFX's own strategy would compare it
    with itself.
    """

    def resolve_artifacts(
        self, store: mlmd.MetadataStore, input_dict: dict[str, list[types.Artifact]]
    ) -> dict[str, list[types.Artifact]] | None:
        candidates = input_dict[CANDIDATE_KEY]
        candidate_ids = {model.id for model in candidates}
        others = [model for model in input_dict[MODEL_KEY] if model.id not in candidate_ids]
        resolved = super().resolve_artifacts(store, {MODEL_KEY: others, BLESSING_KEY: input_dict[BLESSING_KEY]})
        if resolved is None:
            return None
        drift = _pushed_with(store, resolved[MODEL_KEY], input_dict[DRIFT_KEY])
        return {**resolved, CANDIDATE_KEY: candidates, DRIFT_KEY: drift}


def _pushed_with(
    store: mlmd.MetadataStore, models: list[types.Artifact], drifts: list[types.Artifact]
) -> list[types.Artifact]:
    """Returns DriftDetector's output for a model: Pusher reads both, which connects them."""
    if not models or not drifts:
        return []
    readers = {event.execution_id for event in store.get_events_by_artifact_ids([model.id for model in models])}
    read = {
        event.artifact_id
        for event in store.get_events_by_execution_ids(list(readers))
        if event.type == event.INPUT and [step.key for step in event.path.steps[:1]] == [DRIFT_KEY]
    }
    return sorted((drift for drift in drifts if drift.id in read), key=lambda drift: drift.id)[-1:]


def without_missing_baseline(input_dict: dict[str, list[types.Artifact]]) -> dict[str, list[types.Artifact]]:
    """Returns Evaluator's inputs without an empty baseline: on Kubeflow the input always has an artifact."""
    baselines = input_dict.get(BASELINE_MODEL_KEY, [])
    present = [
        model for model in baselines if model.get_string_custom_property(BASELINE_VERSION_PROPERTY) != NO_VERSION
    ]
    if present != baselines:
        logger.info("No other model has been pushed: there is no baseline, and thresholds on a change do not count")
    return {**input_dict, BASELINE_MODEL_KEY: present} if baselines else input_dict
