"""How TFMA gets at models and predictions: every model is loaded once, and only what is measured is run.

A user module to TFX's Evaluator executor, which calls the two functions by their names; `components.evaluator.executor`
names the module to it. TFX imports it anew every time, so it keeps no state.
"""

import functools
from typing import Any

import tensorflow_model_analysis as tfma

from components.evaluator.models import load_model


def custom_eval_shared_model(
    eval_saved_model_path: str, model_name: str, eval_config: tfma.EvalConfig, **_: Any
) -> tfma.types.EvalSharedModel:
    """Describes a model to TFMA as its `default_eval_shared_model` does, with `load_model` as what loads it.

    Args:
        eval_saved_model_path: The SavedModel's folder.
        model_name: The model's name in `eval_config`.
        eval_config: What is evaluated.
        **_: What else TFX passes for older kinds of models.

    Returns:
        The model for TFMA's extractors; nothing is loaded yet.
    """
    shared_model = tfma.default_eval_shared_model(
        eval_saved_model_path=eval_saved_model_path, model_name=model_name, eval_config=eval_config
    )
    loader = tfma.types.ModelLoader(
        construct_fn=functools.partial(load_model, eval_saved_model_path), tags=shared_model.model_loader.tags
    )
    return shared_model._replace(model_loader=loader)


def custom_extractors(
    eval_shared_model: Any, eval_config: tfma.EvalConfig, tensor_adapter_config: Any
) -> list[tfma.extractors.Extractor]:
    """Returns TFMA's default extractors, without the one that looks for preprocessing functions in the model.

    Args:
        eval_shared_model: One model, or candidate and baseline.
        eval_config: What is evaluated.
        tensor_adapter_config: How TFXIO's columns become tensors; None without a schema.

    Returns:
        Extractors for features, labels, weights, predictions and slice keys.
    """
    representations = tensor_adapter_config.tensor_representations if tensor_adapter_config else None
    return [
        tfma.extractors.FeaturesExtractor(eval_config=eval_config, tensor_representations=representations),
        tfma.extractors.LabelsExtractor(eval_config=eval_config),
        tfma.extractors.ExampleWeightsExtractor(eval_config=eval_config),
        tfma.extractors.PredictionsExtractor(eval_config=eval_config, eval_shared_model=eval_shared_model),
        tfma.extractors.UnbatchExtractor(),
        tfma.extractors.SliceKeyExtractor(eval_config=eval_config, materialize=False),
    ]
