"""What telling how familiar a photo is adds to serving it."""

import statistics
import tempfile
import time
from typing import Any, Final

import tensorflow as tf
import tensorflow_transform as tft

from components.example_gen.synthetic_flowers.photo import draw_photo
from components.modeling.classifier import build_classifier
from components.modeling.head import rebuild_head
from components.modeling.serving import SERVING_SIGNATURE, ServingModel, export, image_size_of

_BATCHES: Final = (1, 32)
_ROUNDS: Final = 40
_WARM_UP: Final = 3


def measure_serving(model_path: str, transform_graph: str) -> dict[str, dict[str, float]]:
    """Times a pushed model and the same one without familiarity, in turns.

    Args:
        model_path: A SavedModel folder.
        transform_graph: Folder of Transform's output.

    Returns:
        By photos per request, the median of milliseconds per request with and without, and the fastest of each.
    """
    served = tf.saved_model.load(model_path)
    transform_output = tft.TFTransformOutput(transform_graph)
    names = [name.decode() for name in served.class_names.numpy()]
    classifier = build_classifier(served.backbone, image_size_of(transform_output), rebuild_head(served.head_weights))
    with tempfile.TemporaryDirectory(prefix="flowers-bench-") as folder:
        export(ServingModel(classifier, transform_output, names, ""), folder)
        models = {"with": served, "without": tf.saved_model.load(folder)}
    photos = [draw_photo(1, index)[1] for index in range(max(_BATCHES))]
    return {str(size): _time(models, tf.constant(photos[:size])) for size in _BATCHES}


def _time(models: dict[str, Any], photos: tf.Tensor) -> dict[str, float]:
    times: dict[str, list[float]] = {name: [] for name in models}
    for _ in range(_WARM_UP + _ROUNDS):
        for name, model in models.items():
            started = time.perf_counter()
            model.signatures[SERVING_SIGNATURE](image_bytes=photos)
            times[name].append(1000 * (time.perf_counter() - started))
    found = {}
    for name, values in times.items():
        found[f"{name}_median"] = round(statistics.median(values[_WARM_UP:]), 2)
        found[f"{name}_fastest"] = round(min(values[_WARM_UP:]), 2)
    return found
