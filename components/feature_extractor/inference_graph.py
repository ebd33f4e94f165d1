"""A backbone's forward pass as one function, rewritten for inference where that pays."""

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import numpy as np
import tensorflow as tf
import tensorflow_hub as hub
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

logger = logging.getLogger(__name__)

ForwardPass = Callable[[tf.Tensor], tf.Tensor]

# Features of the rewritten graph may differ from the SavedModel's by this share of the largest one. Float32 sums in
# another order give 1e-6; the served model, which keeps the SavedModel's graph, has to agree with the evaluated one.
TOLERANCE: Final = 1e-5
_BATCH_NORM: Final = ("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3")
_DEPTHWISE: Final = "DepthwiseConv2dNative"
_CHANNELS: Final = 3
_PROBE_IMAGES: Final = 2


def load_forward_pass(path: str, image_size: tuple[int, int]) -> Any:
    """Loads a backbone as it is.

    Args:
        path: A SavedModel folder that `hub.KerasLayer` accepts.
        image_size: Height and width of the images in pixels.

    Returns:
        A tf.function from float32 [N, H, W, 3] in [0, 1] to float32 [N, D], in inference mode.
    """
    # Loaded first: given a path, KerasLayer imports Keras 3 before it notices that it wants Keras 2.
    backbone = hub.KerasLayer(hub.load(path), trainable=False)
    # One trace for batches of any size; AutoGraph would translate Keras' own source first, seconds for nothing.
    signature = [tf.TensorSpec([None, *image_size, _CHANNELS], tf.float32)]
    return tf.function(lambda images: backbone(images, training=False), signature, autograph=False)


def optimize_forward_pass(forward: Any, image_size: tuple[int, int]) -> ForwardPass:
    """Freezes variables into constants and folds batch normalisation into the convolutions before it.

    TensorFlow then fuses convolution, bias and activation into one kernel, and packs the constant filters once. The
    result is compared with the original on random images; should it differ, or should the module hold something that
    cannot be frozen, the original is returned.

    Args:
        forward: What `load_forward_pass` returned.
        image_size: Height and width of the images in pixels.

    Returns:
        A function that gives the same features within `TOLERANCE`.
    """
    forward_pass: ForwardPass = forward
    try:
        frozen, graph_def, folded = freeze_and_fold(forward)
        optimized = as_function(graph_def, frozen)
        difference = largest_difference(forward, optimized, image_size)
    except (ValueError, TypeError, KeyError, tf.errors.OpError) as error:
        logger.debug("The backbone's graph is used as it is: %s", error)
        return forward_pass
    if not difference <= TOLERANCE:
        logger.debug("The backbone's graph is used as it is: rewritten, it differs by %.2g", difference)
        return forward_pass
    logger.debug("Folded %d batch normalisations of the backbone (difference %.2g)", folded, difference)
    return optimized


def freeze_and_fold(forward: Any) -> tuple[Any, tf.compat.v1.GraphDef, int]:
    """Freezes a forward pass.

    Args:
        forward: What `load_forward_pass` returned.

    Returns:
        The concrete function without variables, its graph with batch normalisations folded, and how many were.
    """
    frozen = convert_variables_to_constants_v2(forward.get_concrete_function(), lower_control_flow=False)
    graph_def = frozen.graph.as_graph_def()
    return frozen, graph_def, fold_batch_normalization(graph_def)


def as_function(graph_def: tf.compat.v1.GraphDef, frozen: Any) -> ForwardPass:
    """Makes a function of a rewritten graph.

    Args:
        graph_def: Whose input and output are those of the frozen one.
        frozen: The concrete function that it was rewritten from, without variables.
    """
    images, features = frozen.inputs[0], frozen.outputs[0].name

    def forward(values: tf.Tensor) -> tf.Tensor:
        return tf.graph_util.import_graph_def(graph_def, {images.name: values}, [features], name="")[0]

    signature = [tf.TensorSpec(images.shape, images.dtype)]
    function: ForwardPass = tf.function(forward, signature, autograph=False).get_concrete_function()
    return function


def largest_difference(original: ForwardPass, other: ForwardPass, image_size: tuple[int, int]) -> float:
    """Returns how much the features of random images differ, as a share of the largest.

    Args:
        original: The backbone's forward pass.
        other: The rewritten one.
        image_size: Height and width of the images in pixels.
    """
    images = tf.random.stateless_uniform([_PROBE_IMAGES, *image_size, _CHANNELS], [0, 0])
    expected, found = original(images).numpy(), other(images).numpy()
    return float(np.abs(found - expected).max() / max(np.abs(expected).max(), np.finfo(np.float32).tiny))


def fold_batch_normalization(graph_def: tf.compat.v1.GraphDef) -> int:
    """Replaces inference-mode batch normalisations that follow a convolution by a bias, in place.

    gamma (conv(x, w) - mean) / sqrt(variance + epsilon) + beta is conv(x, s w) + (beta - s mean) with
    s = gamma / sqrt(variance + epsilon), one factor per output channel (Jacob et al. 2018, section 3.2,
    https://arxiv.org/abs/1712.05877).

    Args:
        graph_def: A frozen graph. Normalisations with anything but constants stay.

    Returns:
        How many were folded.
    """
    nodes = {node.name: node for node in graph_def.node}
    uses = Counter(_node_name(name) for node in graph_def.node for name in node.input)
    constants: list[tf.compat.v1.NodeDef] = []
    for norm in list(graph_def.node):
        if norm.op not in _BATCH_NORM or norm.attr["is_training"].b or _statistics_used(norm, graph_def):
            continue
        convolution = nodes[_node_name(norm.input[0])]
        if convolution.op not in ("Conv2D", _DEPTHWISE) or uses[convolution.name] != 1:
            continue
        values = [_constant_value(nodes, name) for name in (convolution.input[1], *norm.input[1:5])]
        known = [value for value in values if value is not None]
        if len(known) == len(values):
            constants += _fold(convolution, norm, known)
    graph_def.node.extend(constants)
    return len(constants) // 2


def _fold(
    convolution: tf.compat.v1.NodeDef, norm: tf.compat.v1.NodeDef, values: Sequence[np.ndarray]
) -> Iterator[tf.compat.v1.NodeDef]:
    """Rewrites one pair of nodes and yields the two constants that they now read."""
    filters, gamma, beta, mean, variance = values
    scale = gamma / np.sqrt(variance + norm.attr["epsilon"].f)
    # A depthwise filter is [H, W, channels, multiplier], with channels x multiplier outputs.
    per_output = scale.reshape(filters.shape[2:]) if convolution.op == _DEPTHWISE else scale
    yield _constant(f"{norm.name}/folded_filters", filters * per_output)
    yield _constant(f"{norm.name}/folded_bias", beta - scale * mean)
    convolution.input[1] = f"{norm.name}/folded_filters"
    data_format = norm.attr["data_format"].s or b"NHWC"
    source = norm.input[0]
    for field in ("input", "attr"):
        norm.ClearField(field)
    norm.op = "BiasAdd"
    norm.input.extend([source, f"{norm.name}/folded_bias"])
    norm.attr["T"].type = tf.float32.as_datatype_enum
    norm.attr["data_format"].s = data_format


def _statistics_used(norm: tf.compat.v1.NodeDef, graph_def: tf.compat.v1.GraphDef) -> bool:
    """Says whether anything reads a batch normalisation's outputs other than the first."""
    others = {f"{norm.name}:{index}" for index in range(1, 6)}
    return any(name in others for node in graph_def.node for name in node.input)


def _constant_value(nodes: dict[str, tf.compat.v1.NodeDef], name: str) -> np.ndarray | None:
    """Returns what a tensor holds, in float64, or None if it is not constant."""
    node = nodes[_node_name(name)]
    while node.op == "Identity":
        node = nodes[_node_name(node.input[0])]
    return tf.make_ndarray(node.attr["value"].tensor).astype(np.float64) if node.op == "Const" else None


def _constant(name: str, value: np.ndarray) -> tf.compat.v1.NodeDef:
    node = tf.compat.v1.NodeDef(name=name, op="Const")
    node.attr["dtype"].type = tf.float32.as_datatype_enum
    node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value.astype(np.float32)))
    return node


def _node_name(tensor_name: str) -> str:
    return tensor_name.split(":", maxsplit=1)[0].lstrip("^")
