"""The artifact type that lists doubtful labels."""

from tfx import types


class LabelReview(types.Artifact):
    """Photos whose label is doubtful; for its files see `components.contracts.label_review`."""

    # Kubeflow takes only names of the form `namespace.Name`.
    TYPE_NAME = "flowers.LabelReview"
