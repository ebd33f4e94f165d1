"""Photos through a pushed model's serving signature."""

import dataclasses
import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.common.errors import UserError
from components.contracts.familiarity import FAMILIARITY_OUTPUT, UNFAMILIAR_BELOW
from pipeline.prediction.photo_inputs import PhotoInput

if TYPE_CHECKING:
    import numpy as np

_BATCH_SIZE = 16


@dataclasses.dataclass(frozen=True)
class Classification:
    """What a model makes of a photo.

    Attributes:
        photo: Its name.
        classes: The classes with their probabilities, most probable first.
        error: Why there are none.
        familiarity: The share of validation photos that are less familiar; None if the model does not tell.
    """

    photo: str
    classes: list[tuple[str, float]]
    error: str | None = None
    familiarity: float | None = None

    @property
    def unfamiliar(self) -> bool | None:
        """Whether the photo is hardly like any that the model was trained on; None if the model does not tell."""
        return None if self.familiarity is None else self.familiarity < UNFAMILIAR_BELOW


class ServedModel:
    """A SavedModel that takes `image_bytes` and returns `probabilities`."""

    def __init__(self, path: Path):
        """Loads a model.

        Args:
            path: SavedModel folder.

        Raises:
            UserError: It cannot be loaded, or has no such signature.
        """
        import tensorflow as tf

        from components.modeling.serving import SERVING_SIGNATURE

        try:
            # Kept alive: a signature does not own the model's variables.
            self._model = tf.saved_model.load(str(path))
        except (OSError, ValueError, tf.errors.OpError) as error:
            raise UserError(f"cannot load the model in {path}: {' '.join(str(error).split())}") from error
        self._signature = self._model.signatures.get(SERVING_SIGNATURE)
        inputs = self._signature.structured_input_signature[1] if self._signature else {}
        if set(inputs) != {"image_bytes"} or "probabilities" not in self._signature.structured_outputs:
            raise UserError(
                f"the model in {path} has no signature {SERVING_SIGNATURE} from image_bytes to probabilities"
            )
        self.class_names = _class_names(self._signature)

    def classify(self, photos: Iterable[PhotoInput]) -> Iterator[Classification]:
        """Classifies photos in batches.

        Args:
            photos: Any number of photos.

        Yields:
            What the model makes of each photo, in order.
        """
        photos = iter(photos)
        while batch := list(itertools.islice(photos, _BATCH_SIZE)):
            checked = [_check(photo) for photo in batch]
            contents = [photo.content for photo in checked if photo.error is None]
            answers = iter(self._answers(contents) if contents else ())
            for photo in checked:
                if photo.error is None:
                    row, familiarity = next(answers)
                    yield Classification(photo.name, self._ranked(row), familiarity=familiarity)
                else:
                    yield Classification(photo.name, [], photo.error)

    def _answers(self, contents: list[bytes]) -> "Iterator[tuple[np.ndarray, float | None]]":
        import tensorflow as tf

        # With AVX2 alone, oneDNN takes twenty times as long for one photo as for two where batch norms are not folded.
        outputs = self._signature(image_bytes=tf.constant(contents * 2 if len(contents) == 1 else contents))
        probabilities = outputs["probabilities"].numpy()
        # Models pushed by earlier versions of this project have no such output.
        familiarity = outputs[FAMILIARITY_OUTPUT].numpy().tolist() if FAMILIARITY_OUTPUT in outputs else None
        answers = zip(probabilities, familiarity or [None] * len(probabilities), strict=True)
        return itertools.islice(answers, len(contents))

    def _ranked(self, probabilities: "np.ndarray") -> list[tuple[str, float]]:
        names = self.class_names or [str(index) for index in range(len(probabilities))]
        pairs = zip(names, map(float, probabilities), strict=True)
        return sorted(pairs, key=lambda pair: -pair[1])


def _class_names(signature: Any) -> list[str]:
    """Returns the class names that `components.modeling.serving` keeps in the model as its only list of strings."""
    import tensorflow as tf

    size = signature.structured_outputs["probabilities"].shape[-1]
    for tensor in signature.captured_inputs:
        if tensor.dtype == tf.string and tensor.shape == (size,):
            return [name.decode() for name in tensor.numpy()]
    return []


def _check(photo: PhotoInput) -> PhotoInput:
    """Returns the photo, with an error if ImageValidator would not let it into training."""
    from components.photos.check import check_image

    if photo.error is None and (defect := check_image(photo.content).defect):
        return PhotoInput(photo.name, error=f"{defect.reason.value}: {defect.detail}")
    return photo
