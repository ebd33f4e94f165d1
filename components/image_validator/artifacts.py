"""The artifact type that lists what ImageValidator left out."""

from tfx import types


class Quarantine(types.Artifact):
    """Photos left out of the examples, and why; for its files see `components.contracts.quarantine`."""

    # Kubeflow takes only names of the form `namespace.Name`.
    TYPE_NAME = "flowers.Quarantine"
