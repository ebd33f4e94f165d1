"""The EfficientNet-Lites as a tf.Module without Keras layers, whose graphs depend on what else a process has built.

Architecture: Tan and Le, "EfficientNet" (https://arxiv.org/abs/1905.11946), in the Lite variant of
tensorflow/tpu `models/official/efficientnet/lite/efficientnet_lite_builder.py`: no squeeze-and-excitation, and ReLU6
instead of swish. Larger variants have wider stages with more blocks, but the same strides. The shapes of the weights
show where a stage begins, so no table of coefficients is needed.
"""

import io
import itertools
from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from components.modeling.backbones.torch_weights import read_torch_weights

_BATCH_NORM_EPSILON: Final = 1e-3
_BATCH_NORM_MOMENTUM: Final = 0.99
# The Lite models' own normalisation of pixels: (255x - 127) / 128.
_PIXEL_MEAN: Final = 127.0
_PIXEL_SCALE: Final = 128.0
# Of the first block of each stage.
_STAGE_STRIDES: Final = (1, 2, 2, 2, 1, 2, 1)

Weights = Mapping[str, NDArray[Any]]


def _scope(prefix: str) -> str:
    """Turns `_blocks.0._bn1` into `blocks/0/bn1`: TensorFlow accepts no name with a leading underscore."""
    return "/".join(part.lstrip("_") for part in prefix.split("."))


class BatchNorm(tf.Module):
    """Batch normalisation over all but the last axis, with moving averages for inference."""

    def __init__(self, weights: Weights, prefix: str) -> None:
        super().__init__()
        scope = _scope(prefix)
        self.gamma = tf.Variable(weights[f"{prefix}.weight"], name=f"{scope}/gamma")
        self.beta = tf.Variable(weights[f"{prefix}.bias"], name=f"{scope}/beta")
        self.moving_mean = self._moving(weights[f"{prefix}.running_mean"], f"{scope}/moving_mean")
        self.moving_variance = self._moving(weights[f"{prefix}.running_var"], f"{scope}/moving_variance")

    @staticmethod
    def _moving(value: NDArray[np.float32], name: str) -> tf.Variable:
        # Each replica of a tf.distribute strategy sees its own batch; reading gives the mean, as in Keras.
        return tf.Variable(
            value,
            trainable=False,
            name=name,
            synchronization=tf.VariableSynchronization.ON_READ,
            aggregation=tf.VariableAggregation.MEAN,
        )

    def __call__(self, inputs: tf.Tensor) -> tf.Tensor:
        """Normalises by the batch's own statistics, and updates the moving averages."""
        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            inputs, self.gamma, self.beta, epsilon=_BATCH_NORM_EPSILON, is_training=True
        )
        for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign_sub((moving - batch) * (1.0 - _BATCH_NORM_MOMENTUM))
        return outputs

    def scale_and_bias(self) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the factor and the summand per channel, [C] each, that normalise by the moving averages."""
        scale = self.gamma * tf.math.rsqrt(self.moving_variance + _BATCH_NORM_EPSILON)
        return scale, self.beta - scale * self.moving_mean


class ConvBatchNorm(tf.Module):
    """A convolution without bias, batch normalisation, and ReLU6 unless it is a projection."""

    def __init__(self, weights: Weights, conv: str, batch_norm: str, stride: int = 1, activation: bool = True) -> None:
        super().__init__()
        # PyTorch: [out, in, height, width], depthwise [channels, 1, height, width].
        # TensorFlow: [height, width, in, out], depthwise [height, width, channels, 1].
        self._depthwise = conv.endswith("_depthwise_conv")
        axes = (2, 3, 0, 1) if self._depthwise else (2, 3, 1, 0)
        kernel = np.ascontiguousarray(weights[f"{conv}.weight"].transpose(axes))
        self.kernel = tf.Variable(kernel, name=f"{_scope(conv)}/kernel")
        self.batch_norm = BatchNorm(weights, batch_norm)
        self._strides = [1, stride, stride, 1]
        self._activation = activation

    def __call__(self, inputs: tf.Tensor, training: bool) -> tf.Tensor:
        """Maps [N, H, W, C] to [N, H / stride, W / stride, C']."""
        outputs = self.batch_norm(self._convolve(inputs, self.kernel)) if training else self._folded(inputs)
        return tf.nn.relu6(outputs) if self._activation else outputs

    def _convolve(self, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        # The weights were trained with TensorFlow's "SAME", which pads a stride of 2 below and to the right only.
        conv2d = tf.nn.depthwise_conv2d if self._depthwise else tf.nn.conv2d
        return conv2d(inputs, kernel, self._strides, "SAME")

    def _folded(self, inputs: tf.Tensor) -> tf.Tensor:
        # Scaling the few weights instead of all pixels gives the same result and the same gradients with less work.
        scale, bias = self.batch_norm.scale_and_bias()
        # Not `tf.nn.bias_add`: oneDNN's gradient of filters and bias in one is slower than both apart.
        return self._convolve(inputs, self.kernel * (scale[:, tf.newaxis] if self._depthwise else scale)) + bias


class InvertedResidual(tf.Module):
    """MobileNetV2's block: expand, filter each channel, project; with a shortcut if shapes are equal."""

    def __init__(self, weights: Weights, prefix: str, stride: int, expands: bool) -> None:
        super().__init__()
        self.expand = ConvBatchNorm(weights, f"{prefix}._expand_conv", f"{prefix}._bn0") if expands else None
        self.depthwise = ConvBatchNorm(weights, f"{prefix}._depthwise_conv", f"{prefix}._bn1", stride)
        self.project = ConvBatchNorm(weights, f"{prefix}._project_conv", f"{prefix}._bn2", activation=False)

    def __call__(self, inputs: tf.Tensor, training: bool) -> tf.Tensor:
        """Maps [N, H, W, C] to [N, H / stride, W / stride, C']."""
        outputs = self.expand(inputs, training) if self.expand else inputs
        outputs = self.project(self.depthwise(outputs, training), training)
        return outputs + inputs if outputs.shape == inputs.shape else outputs


def _block_strides(weights: Weights) -> Iterator[int]:
    """Yields the stride of every block: a stage begins where a block projects to another number of channels."""
    projections = itertools.takewhile(
        weights.__contains__, map("_blocks.{}._project_conv.weight".format, itertools.count())
    )
    stages = [len(list(blocks)) for _, blocks in itertools.groupby(projections, lambda name: len(weights[name]))]
    for stride, repeats in zip(_STAGE_STRIDES, stages, strict=True):
        yield from (stride, *[1] * (repeats - 1))


class EfficientNetLite(tf.Module):
    """The feature vector of an EfficientNet-Lite, from the state dict of the PyTorch port in PyTorch's layout."""

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        self.stem = ConvBatchNorm(weights, "_conv_stem", "_bn0", stride=2)
        self.blocks = [
            InvertedResidual(weights, f"_blocks.{index}", stride, f"_blocks.{index}._expand_conv.weight" in weights)
            for index, stride in enumerate(_block_strides(weights))
        ]
        self.head = ConvBatchNorm(weights, "_conv_head", "_bn1")

    def __call__(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Maps float32 [N, H, W, 3] in [0, 1] to feature vectors, float32 [N, 1280] in [0, 6].

        In training, batch norm uses the batch's statistics and updates its moving averages.
        """
        outputs = self.stem((images * 255.0 - _PIXEL_MEAN) / _PIXEL_SCALE, training)
        for block in self.blocks:
            outputs = block(outputs, training)
        return tf.reduce_mean(self.head(outputs, training), axis=[1, 2])


def build(content: bytes) -> EfficientNetLite:
    """Builds the network from the content of the weights' file."""
    return EfficientNetLite(read_torch_weights(io.BytesIO(content)))
