"""The rewritten graph gives the SavedModel's features."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from components.feature_extractor import inference_graph


def _images(count: int) -> tf.Tensor:
    return tf.random.stateless_uniform([count, 16, 16, 3], [1, 2])


def test_optimized_features_are_the_saved_models(save_convnet: Callable[..., Path]) -> None:
    forward = inference_graph.load_forward_pass(str(save_convnet()), (16, 16))
    optimized = inference_graph.optimize_forward_pass(forward, (16, 16))
    assert optimized is not forward
    for count in (1, 3, 16):
        expected = forward(_images(count)).numpy()
        difference = np.abs(optimized(_images(count)).numpy() - expected).max()
        assert difference <= inference_graph.TOLERANCE * np.abs(expected).max()


def test_every_batch_normalization_after_a_convolution_is_folded(save_convnet: Callable[..., Path]) -> None:
    forward = inference_graph.load_forward_pass(str(save_convnet()), (16, 16))
    concrete = forward.get_concrete_function()
    graph_def = convert_variables_to_constants_v2(concrete, lower_control_flow=False).graph.as_graph_def()
    assert inference_graph.fold_batch_normalization(graph_def) == 3
    operations = [node.op for node in graph_def.node]
    assert operations.count("BiasAdd") == 3
    assert not any(operation.startswith("FusedBatchNorm") for operation in operations)


def _graph_of(function: Callable[[tf.Tensor], tf.Tensor]) -> tf.compat.v1.GraphDef:
    concrete = tf.function(function).get_concrete_function(tf.TensorSpec([None, 16, 16, 3], tf.float32))
    return concrete.graph.as_graph_def()


def _normalize(x: tf.Tensor, is_training: bool = False) -> tf.Tensor:
    ones = tf.ones([3])
    statistics = [None, None] if is_training else [ones, ones]
    return tf.compat.v1.nn.fused_batch_norm(x, ones, ones, *statistics, is_training=is_training)[0]


def test_what_is_not_a_constant_pair_stays() -> None:
    filters = tf.ones([1, 1, 3, 3])

    def shared(images: tf.Tensor) -> tf.Tensor:
        convolved = tf.nn.conv2d(images, filters, 1, "SAME")
        return _normalize(convolved) + convolved

    def without_convolution(images: tf.Tensor) -> tf.Tensor:
        return _normalize(images)

    def with_batch_statistics(images: tf.Tensor) -> tf.Tensor:
        return _normalize(tf.nn.conv2d(images, filters, 1, "SAME"), is_training=True)

    def with_computed_filters(images: tf.Tensor) -> tf.Tensor:
        return _normalize(tf.nn.conv2d(images, filters * tf.reduce_mean(images), 1, "SAME"))

    for function in (shared, without_convolution, with_batch_statistics, with_computed_filters):
        graph_def = _graph_of(function)
        before = graph_def.SerializeToString(deterministic=True)
        assert inference_graph.fold_batch_normalization(graph_def) == 0
        assert graph_def.SerializeToString(deterministic=True) == before


def test_a_module_that_cannot_be_frozen_is_used_as_it_is(tmp_path: Path) -> None:
    class Counting(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.calls = tf.Variable(0.0, trainable=False)

        @tf.function(input_signature=[tf.TensorSpec([None, 16, 16, 3], tf.float32)])
        def __call__(self, images: tf.Tensor) -> tf.Tensor:
            self.calls.assign_add(1.0)
            return tf.reduce_mean(images, [1, 2]) * self.calls

    tf.saved_model.save(Counting(), str(tmp_path))
    forward = inference_graph.load_forward_pass(str(tmp_path), (16, 16))
    assert inference_graph.optimize_forward_pass(forward, (16, 16)) is forward
