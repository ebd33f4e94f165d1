"""Which earlier model a new one is compared with.

Named by `pipeline.graph` as the strategy of its Resolver.
"""

import ml_metadata as mlmd
from ml_metadata.proto import metadata_store_pb2
from tfx import types
from tfx.dsl.input_resolution.strategies import latest_blessed_model_strategy

from components.contracts.drift import DRIFT_KEY

MODEL_KEY = "model"
BLESSING_KEY = "model_blessing"
CANDIDATE_KEY = "candidate"


class LatestOtherBlessedModelStrategy(latest_blessed_model_strategy.LatestBlessedModelStrategy):
    """Resolves the latest blessed model that is not the candidate itself.

    When a run is repeated, or goes on after it was killed, its model is the latest blessed one already. TFX's own
    strategy would have it evaluated again, against itself. What DriftDetector wrote for the model comes with it.
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
    """Returns what DriftDetector wrote for a model: Pusher reads both."""
    if not models or not drifts:
        return []
    readers = {event.execution_id for event in store.get_events_by_artifact_ids([model.id for model in models])}
    read = {event.artifact_id for event in store.get_events_by_execution_ids(list(readers)) if _is_drift(event)}
    return sorted((drift for drift in drifts if drift.id in read), key=lambda drift: drift.id)[-1:]


def _is_drift(event: metadata_store_pb2.Event) -> bool:
    return event.type == event.INPUT and [step.key for step in event.path.steps[:1]] == [DRIFT_KEY]
