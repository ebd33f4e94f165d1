"""TFLite Metadata: what a model's input and output mean, and its labels, inside the model file.

The format (https://www.tensorflow.org/lite/models/convert/metadata): a buffer named TFLITE_METADATA holds a flatbuffer
of `metadata_schema.fbs` (identifier M001), and the files that it names are a ZIP archive behind the model, which
interpreters ignore. Written with the `flatbuffers` library that TensorFlow brings: tflite-support, made for this, is
one more native package, and apps alone need it.
"""

import io
import zipfile
from collections.abc import Sequence
from typing import Final

import flatbuffers
import numpy as np
from tensorflow.lite.python import schema_py_generated as schema
from tensorflow.lite.tools import flatbuffer_utils

from components.contracts.tflite import LABELS_FILE

METADATA_BUFFER: Final = b"TFLITE_METADATA"
_FILE_IDENTIFIER: Final = b"M001"
_MIN_PARSER_VERSION: Final = "1.0.0"
# Enums and union members of metadata_schema.fbs.
_TENSOR_AXIS_LABELS: Final = 2
_RGB: Final = 1
_FEATURE_PROPERTIES, _IMAGE_PROPERTIES = 1, 2
_NORMALIZATION_OPTIONS: Final = 1
# What an app divides its 8-bit pixels by.
_PIXEL_RANGE: Final = 255.0


def labels_text(class_names: Sequence[str]) -> str:
    """Returns the class names a line each; line ends within a name become spaces."""
    return "".join(f"{' '.join(name.splitlines())}\n" for name in class_names)


def with_metadata(name: str, model: bytes, class_names: Sequence[str]) -> bytes:
    """Adds metadata and `labels.txt` to a converted classifier.

    Args:
        name: The model's name.
        model: A TFLite flatbuffer with one image as input and probabilities as output.
        class_names: The classes in label order.

    Returns:
        The model, which TFLite Task Library's ImageClassifier uses without further files.
    """
    content = flatbuffer_utils.convert_bytearray_to_object(bytearray(model))
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(_metadata(name), np.uint8)
    entry = schema.MetadataT()
    entry.name = METADATA_BUFFER
    entry.buffer = len(content.buffers)
    content.buffers.append(buffer)
    content.metadata = [*(content.metadata or []), entry]
    file = io.BytesIO(bytes(flatbuffer_utils.convert_object_to_bytearray(content)))
    with zipfile.ZipFile(file, "a") as archive:
        # ZipInfo's own date, not today's: the same model is the same file.
        archive.writestr(zipfile.ZipInfo(LABELS_FILE), labels_text(class_names))
    return file.getvalue()


def _metadata(name: str) -> bytes:
    """Builds the ModelMetadata table; numbers are positions of fields in the schema's tables."""
    build = _Builder()
    normalization = build.table({0: build.floats(0.0), 1: build.floats(_PIXEL_RANGE)})
    image = {
        0: build.text("image"),
        1: build.text("A photo, resized without keeping its aspect ratio; RGB in [0, 1]."),
        3: build.table({1: build.table({}, {0: _RGB})}, {0: _IMAGE_PROPERTIES}),
        4: build.tables([build.table({1: normalization}, {0: _NORMALIZATION_OPTIONS})]),
        5: build.table({0: build.floats(1.0), 1: build.floats(0.0)}),
    }
    labels = build.table(
        {0: build.text(LABELS_FILE), 1: build.text("Class names in the order of the output.")}, {2: _TENSOR_AXIS_LABELS}
    )
    probabilities = {
        0: build.text("probability"),
        1: build.text("Probabilities of the classes; they add up to 1."),
        3: build.table({1: build.table({})}, {0: _FEATURE_PROPERTIES}),
        5: build.table({0: build.floats(1.0), 1: build.floats(0.0)}),
        6: build.tables([labels]),
    }
    subgraph = build.table({2: build.tables([build.table(image)]), 3: build.tables([build.table(probabilities)])})
    root = {0: build.text(name), 3: build.tables([subgraph]), 7: build.text(_MIN_PARSER_VERSION)}
    return build.finish(build.table(root))


class _Builder:
    """Writes flatbuffer tables by field position; every part has to be complete before what refers to it."""

    def __init__(self) -> None:
        self._builder = flatbuffers.Builder()

    def text(self, value: str) -> int:
        return int(self._builder.CreateString(value))

    def floats(self, *values: float) -> int:
        return int(self._builder.CreateNumpyVector(np.array(values, np.float32)))

    def tables(self, offsets: Sequence[int]) -> int:
        self._builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            self._builder.PrependUOffsetTRelative(offset)
        return int(self._builder.EndVector())

    def table(self, references: dict[int, int], enums: dict[int, int] | None = None) -> int:
        enums = enums or {}
        self._builder.StartObject(max([-1, *references, *enums]) + 1)
        for slot, offset in references.items():
            self._builder.PrependUOffsetTRelativeSlot(slot, offset, 0)
        for slot, value in enums.items():
            self._builder.PrependUint8Slot(slot, value, 0)
        return int(self._builder.EndObject())

    def finish(self, root: int) -> bytes:
        self._builder.Finish(root, file_identifier=_FILE_IDENTIFIER)
        return bytes(self._builder.Output())
