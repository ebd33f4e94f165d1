"""The artifact type that lists what ImageValidator left out."""

from typing import Final

from tfx import types

LISTING_FILE: Final = "quarantine.jsonl"
SUMMARY_FILE: Final = "quarantine.json"


class Quarantine(types.Artifact):
    """Photos left out of the examples, and why.

    File structure:
       - `{uri}/quarantine.jsonl`: one line per photo left out or moved: `id`, `split`, `label`, `class_name`, `action`
         ("quarantined", "dropped_from_evaluation" or "moved_to_train"), `reason`, `detail`; sorted by split and id.
       - `{uri}/quarantine.json`: the fields of `components.image_validator.summary.Summary`.
    """

    # Kubeflow takes only names of the form `namespace.Name`.
    TYPE_NAME = "flowers.Quarantine"
