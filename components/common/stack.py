"""What differs between the two generations of TFX; everything else uses what both offer."""

import sys
from typing import Final

# TFX 1.21 with TensorFlow 2.21, or else TFX 1.16 with TensorFlow 2.16: pyproject.toml goes by Python's version, too.
IS_NEWER: Final = sys.version_info >= (3, 12)


def complete_tfma() -> None:
    """Gives TFMA back the names that TFX's Evaluator calls; TFX does so too, but late, in `tfx.components`."""
    import tensorflow_model_analysis as tfma
    from tensorflow_model_analysis.proto import config_pb2

    for name in config_pb2.DESCRIPTOR.message_types_by_name:
        if not hasattr(tfma, name):
            setattr(tfma, name, getattr(config_pb2, name))
