"""The artifact type that holds the converted models."""

from tfx import types


class TFLiteModel(types.Artifact):
    """A classifier converted to TensorFlow Lite; for its files see `components.contracts.tflite`.

    Signature `serving_default`: from `image`, float32 [1, H, W, 3], RGB in [0, 1], to `probabilities`, float32 [1, C],
    in the order of the labels.
    """

    # Kubeflow takes only names of the form `namespace.Name`.
    TYPE_NAME = "flowers.TFLiteModel"
