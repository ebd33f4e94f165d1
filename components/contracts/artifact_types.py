"""The artifact types of this project; Kubeflow's containers find every type of this module by its name.

They stand apart from the files of their artifacts, which commands read that answer without loading TFX.
"""

from tfx import types


class Drift(types.Artifact):
    """How photos differ from the baseline's, and a sample of them; files: `components.contracts.drift`."""

    # Kubeflow accepts only names of the form `namespace.Name`.
    TYPE_NAME = "flowers.Drift"


class LabelReview(types.Artifact):
    """Photos whose label is doubtful; files: `components.contracts.label_review`."""

    TYPE_NAME = "flowers.LabelReview"


class Quarantine(types.Artifact):
    """Photos left out of the examples, and why; files: `components.contracts.quarantine`."""

    TYPE_NAME = "flowers.Quarantine"


class TFLiteModel(types.Artifact):
    """A classifier converted to TensorFlow Lite; files: `components.contracts.tflite`.

    Signature `serving_default`: from `image`, float32 [1, H, W, 3], RGB in [0, 1], to `probabilities`, float32 [1, C],
    in the order of the labels.
    """

    TYPE_NAME = "flowers.TFLiteModel"


def own_artifact_types() -> list[type[types.Artifact]]:
    """Returns all of them."""
    return [cls for cls in types.Artifact.__subclasses__() if cls.__module__ == __name__]
