"""Artifact types that several components name; unlike the other contracts this needs TFX."""

from tfx import types


class Drift(types.Artifact):
    """How photos differ from the baseline's, and a sample of them; see `components.contracts.drift`."""

    # Kubeflow takes only names of the form `namespace.Name`.
    TYPE_NAME = "flowers.Drift"
