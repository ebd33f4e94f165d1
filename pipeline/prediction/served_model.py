"""Inference with a pushed model's serving signature."""

import dataclasses
import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from components.common.errors import UserError
from components.contracts.familiarity import FAMILIARITY_OUTPUT, UNFAMILIAR_BELOW

if TYPE_CHECKING:
    import numpy as np

    from pipeline.prediction.photo_inputs import PhotoInput

_BATCH_SIZE: Final = 16
_INPUT, _PROBABILITIES = "image_bytes", "probabilities"


@dataclasses.dataclass(frozen=True)
class Classification:
    """The model's output for a photo, or an error."""

    photo: str  # path or URI
    classes: list[tuple[str, float]]  # names with probabilities, highest first
    error: str | None = None
    familiarity: float | None = None  # share of validation photos that are less familiar; None: not in the model

    @property
    def unfamiliar(self) -> bool | None:
        """Whether the photo is unlike the training photos; None for models without familiarity."""
        return None if self.familiarity is None else self.familiarity < UNFAMILIAR_BELOW


class ServedModel:
    """A SavedModel with a signature from `image_bytes` to `probabilities`.

    It is loaded into a session, as TF Serving does: `tf.saved_model.load` also wraps each function of the model in
    Python, which takes as long as the import of TensorFlow.
    """

    def __init__(self, path: Path):
        """Loads the SavedModel folder `path`; raises UserError if it has no such signature or cannot be loaded."""
        import tensorflow as tf

        name = tf.saved_model.DEFAULT_SERVING_SIGNATURE_DEF_KEY
        tf.get_logger().setLevel("ERROR")  # calls this way of loading deprecated
        self._session = tf.compat.v1.Session(graph=tf.Graph())
        try:
            with self._session.graph.as_default():
                model = tf.compat.v1.saved_model.load(self._session, [tf.saved_model.SERVING], str(path))
        except (OSError, ValueError, RuntimeError, tf.errors.OpError) as error:
            raise UserError(f"cannot load the model in {path}: {' '.join(str(error).split())}") from error
        signature = model.signature_def[name]
        if set(signature.inputs) != {_INPUT} or _PROBABILITIES not in signature.outputs:
            raise UserError(f"the model in {path} has no signature {name} from {_INPUT} to {_PROBABILITIES}")
        self._input = signature.inputs[_INPUT].name
        self._outputs = {
            key: info.name for key, info in signature.outputs.items() if key in (_PROBABILITIES, FAMILIARITY_OUTPUT)
        }
        num_classes = signature.outputs[_PROBABILITIES].tensor_shape.dim[-1].size
        self.class_names = _class_names(self._session.graph, num_classes)

    def classify(self, photos: "Iterable[PhotoInput]") -> Iterator[Classification]:
        """Classifies photos in batches, and yields the results in order."""
        photos = iter(photos)
        while batch := list(itertools.islice(photos, _BATCH_SIZE)):
            usable = [photo for photo in batch if photo.error is None]
            answers = iter(self._answers(usable))
            for photo in batch:
                yield next(answers) if photo.error is None else Classification(photo.name, [], photo.error)

    def _answers(self, photos: "list[PhotoInput]") -> list[Classification]:
        import tensorflow as tf

        from components.photos.check import check_image, explain_undecodable

        if not photos:
            return []
        contents = [photo.content for photo in photos]
        try:
            # With AVX2 alone, oneDNN is twenty times slower for one photo than for two if batch norms are not folded.
            outputs = self._session.run(self._outputs, {self._input: contents * 2 if len(contents) == 1 else contents})
        except tf.errors.OpError as error:
            if len(photos) > 1:
                return [answer for photo in photos for answer in self._answers([photo])]
            defect = check_image(contents[0]).defect or explain_undecodable(contents[0], error)
            return [Classification(photos[0].name, [], f"{defect.reason.value}: {defect.detail}")]
        familiarity = outputs.get(FAMILIARITY_OUTPUT, itertools.repeat(None))
        return [
            Classification(photo.name, self._ranked(row), familiarity=None if value is None else float(value))
            for photo, row, value in zip(photos, outputs[_PROBABILITIES], familiarity, strict=False)
        ]

    def _ranked(self, probabilities: "np.ndarray") -> list[tuple[str, float]]:
        names = self.class_names or [str(index) for index in range(len(probabilities))]
        pairs = zip(names, map(float, probabilities), strict=True)
        return sorted(pairs, key=lambda pair: -pair[1])


def _class_names(graph: Any, size: int) -> list[str]:
    """Returns the class names that `components.modeling.serving` keeps in the model as its only list of strings."""
    import tensorflow as tf

    for operation in graph.get_operations():
        if operation.type == "Const" and operation.outputs[0].dtype == tf.string:
            value = tf.make_ndarray(operation.get_attr("value"))
            if value.shape == (size,):
                return [name.decode() for name in value]
    return []
