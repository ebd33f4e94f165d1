"""Which earlier model a new one is compared with.

Named by `pipeline.graph` as the strategy of its Resolver.
"""

import ml_metadata as mlmd
from tfx import types
from tfx.dsl.input_resolution.strategies import latest_blessed_model_strategy

MODEL_KEY = "model"
BLESSING_KEY = "model_blessing"
CANDIDATE_KEY = "candidate"


class LatestOtherBlessedModelStrategy(latest_blessed_model_strategy.LatestBlessedModelStrategy):
    """Resolves the latest blessed model that is not the candidate itself.

    When a run is repeated, or goes on after it was killed, its model is the latest blessed one already. TFX's own
    strategy would have it evaluated again, against itself.
    """

    def resolve_artifacts(
        self, store: mlmd.MetadataStore, input_dict: dict[str, list[types.Artifact]]
    ) -> dict[str, list[types.Artifact]] | None:
        candidates = input_dict[CANDIDATE_KEY]
        candidate_ids = {model.id for model in candidates}
        others = [model for model in input_dict[MODEL_KEY] if model.id not in candidate_ids]
        resolved = super().resolve_artifacts(store, {MODEL_KEY: others, BLESSING_KEY: input_dict[BLESSING_KEY]})
        return None if resolved is None else {**resolved, CANDIDATE_KEY: candidates}
