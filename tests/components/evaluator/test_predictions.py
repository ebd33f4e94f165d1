"""Tests of per-photo predictions and of the check that what is served agrees with what is evaluated."""

import functools
import hashlib
import io
from collections.abc import Sequence

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from components.common.errors import UserError
from components.common.photo_formats.photo_conversion import convert
from components.evaluator.predictions import predict, serving_difference


def _classify(examples: Sequence[bytes], bias: float = 0.0) -> np.ndarray:
    """Looks at the first byte of the photo; `bias` shifts the result."""
    values = np.array(
        [tf.train.Example.FromString(e).features.feature["image"].bytes_list.value[0][0] for e in examples]
    )
    return np.stack([values / 255 + bias, 1 - values / 255 - bias], axis=1)


def _serve(image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
    values = np.array([photo[0] for photo in image_bytes.numpy()])
    return {"probabilities": tf.constant(np.stack([values / 255, 1 - values / 255], axis=1))}


def _example(index: int) -> bytes:
    example = tf.train.Example()
    example.features.feature["image"].bytes_list.value.append(bytes([index * 50]))
    example.features.feature["label"].int64_list.value.append(index % 2)
    example.features.feature["id"].bytes_list.value.append(f"photo {index}".encode())
    return example.SerializeToString()


def test_predictions_keep_ids_labels_and_order() -> None:
    dataset = tf.data.Dataset.from_tensor_slices([_example(index) for index in range(3)])
    rows = list(predict(_classify, dataset))
    assert [(row.id, row.label) for row in rows] == [("photo 0", 0), ("photo 1", 1), ("photo 2", 0)]
    assert [row.digest for row in rows] == [hashlib.sha256(bytes([index * 50])).hexdigest() for index in range(3)]
    assert rows[1].probabilities == pytest.approx([50 / 255, 205 / 255], abs=1e-6)


def test_of_a_converted_photo_the_source_is_told() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "TIFF")
    example = tf.train.Example.FromString(_example(0))
    example.features.feature["image"].bytes_list.value[0] = convert(buffer.getvalue())
    dataset = tf.data.Dataset.from_tensors(example.SerializeToString())
    [row] = predict(_classify, dataset)
    assert row.digest == hashlib.sha256(buffer.getvalue()).hexdigest()


def test_agreement_is_no_difference() -> None:
    assert serving_difference(_classify, _serve, [_example(1), _example(2)]) == 0.0


def test_a_served_model_that_differs_is_refused() -> None:
    with pytest.raises(UserError, match=r"differs .* by 0.01"):
        serving_difference(functools.partial(_classify, bias=0.01), _serve, [_example(1)])


def test_no_photos_no_difference() -> None:
    assert serving_difference(functools.partial(_classify, bias=0.5), _serve, []) == 0.0
