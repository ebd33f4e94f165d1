"""A baseline that is none: on Kubeflow an input always has an artifact."""

import logging

from tfx import types
from tfx.types.standard_component_specs import BASELINE_MODEL_KEY

from components.contracts.serving_folder import BASELINE_VERSION_PROPERTY, NO_VERSION

logger = logging.getLogger(__name__)


def without_missing_baseline(input_dict: dict[str, list[types.Artifact]]) -> dict[str, list[types.Artifact]]:
    """Returns an Evaluator's inputs without a baseline that holds no model, for nothing had been pushed."""
    baselines = input_dict.get(BASELINE_MODEL_KEY, [])
    present = [model for model in baselines if _version(model) != NO_VERSION]
    if present != baselines:
        logger.info("No other model has been pushed: there is no baseline, and thresholds on a change do not count")
    return {**input_dict, BASELINE_MODEL_KEY: present} if baselines else input_dict


def _version(model: types.Artifact) -> str:
    return str(model.get_string_custom_property(BASELINE_VERSION_PROPERTY))
