"""What lies beside the versions in a serving folder, and what a model read from there says of its origin.

TensorFlow Serving looks at folders that have a number for a name, and at nothing else.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Final

LATEST_BLESSED_FILE: Final = "latest_blessed.json"  # `LatestBlessed`
STAGING_PREFIX: Final = ".staging-"  # of copies that are no version yet
PHOTOS_FOLDER: Final = "photos"  # of samples for DriftDetector: VERSION.npz
PUSHING_PREFIX: Final = ".pushing-"  # of the mark of a push that is going on: .pushing-SECONDS-KEY

# Custom property of a baseline that was read from a serving folder: its version, or NO_VERSION.
BASELINE_VERSION_PROPERTY: Final = "baseline_version"
NO_VERSION: Final = "none"  # nothing had been pushed: the artifact holds no model


@dataclasses.dataclass(frozen=True)
class LatestBlessed:
    """The model that was pushed last.

    Attributes:
        version: The name of its folder in the serving folder.
        uri: That folder, as Pusher knew it.
        class_names: Its classes, in label order.
        examples: Test photos that it was evaluated on.
        accuracy: Its test accuracy, in [0, 1].
        loss: Its mean cross-entropy on the test split, in nats.
        baseline_version: The version that BaselineReader had it compared with, or NO_VERSION.
    """

    version: str
    uri: str
    class_names: Sequence[str]
    examples: int
    accuracy: float
    loss: float
    baseline_version: str

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "LatestBlessed":
        """Builds it from parsed JSON; entries of later versions of this project are left out."""
        return cls(**{field.name: content[field.name] for field in dataclasses.fields(cls)})
