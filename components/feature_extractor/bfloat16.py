"""A backbone's forward pass in bfloat16, where TensorFlow's oneDNN kernels compute in it; called by `extractor`."""

import logging
from typing import Any, Final

import tensorflow as tf
from tensorflow.core.protobuf import rewriter_config_pb2
from tensorflow.lite.python.util import get_grappler_config, run_graph_optimizations

from components.common.errors import UserError, first_line
from components.feature_extractor.inference_graph import (
    ForwardPass,
    as_function,
    freeze_and_fold,
    largest_difference,
)

logger = logging.getLogger(__name__)

# More than this share of the largest feature is not rounding: bfloat16 has 8 bits of precision, whose errors add up
# over the layers (12% on random pixels with EfficientNet-Lite0). Whether answers change is another question.
TOLERANCE: Final = 0.25
_REWRITE: Final = "auto_mixed_precision_onednn_bfloat16"


def bfloat16_forward_pass(forward: Any, image_size: tuple[int, int]) -> ForwardPass:
    """Rewrites a forward pass so that convolutions and matrix products, and what lies between, compute in bfloat16.

    The rewriting is TensorFlow's own (Grappler's `auto_mixed_precision_onednn_bfloat16`): it decides what is safe.

    Args:
        forward: What `load_forward_pass` returned.
        image_size: Height and width of the images in pixels.

    Returns:
        A function from float32 images to float32 features, like `forward`'s within `TOLERANCE`.

    Raises:
        UserError: TensorFlow does not do it on this machine, or not with this backbone.
    """
    try:
        frozen, graph_def, _ = freeze_and_fold(forward)
        config = get_grappler_config([_REWRITE])
        setattr(config.graph_options.rewrite_options, _REWRITE, rewriter_config_pb2.RewriterConfig.ON)
        rewritten = run_graph_optimizations(graph_def, frozen.inputs, frozen.outputs, config, frozen.graph)
        if not any(_casts_to_bfloat16(node) for node in rewritten.node):
            raise UserError(
                "TensorFlow has nothing to compute in bfloat16 here: it takes a backbone with convolutions, an x86 "
                "CPU, and TF_ENABLE_ONEDNN_OPTS other than 0"
            )
        function = as_function(rewritten, frozen)
        difference = largest_difference(forward, function, image_size)
    except (ValueError, TypeError, KeyError, tf.errors.OpError) as error:
        raise UserError(f"this backbone cannot be rewritten for bfloat16 ({first_line(error)})") from error
    if not difference <= TOLERANCE:
        raise UserError(
            f"in bfloat16 this backbone's features differ by {difference:.1%} of the largest, more than {TOLERANCE:.0%}"
        )
    logger.debug("The backbone computes in bfloat16 (difference %.2g)", difference)
    return function


def _casts_to_bfloat16(node: tf.compat.v1.NodeDef) -> bool:
    return node.op == "Cast" and node.attr["DstT"].type == tf.bfloat16.as_datatype_enum
