"""Tests of per-photo predictions and of the check that served and evaluated signatures agree."""

from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from components.errors import UserError
from components.evaluator.predictions import predict, serving_difference


class _TwoSignatures(tf.Module):
    """Signatures that look at the first byte of the photo; `bias` shifts only the evaluated one."""

    def __init__(self, bias: float):
        super().__init__()
        self.bias = tf.constant(bias)

    def _probabilities(self, photos: tf.Tensor, bias: tf.Tensor) -> dict[str, tf.Tensor]:
        value = tf.cast(tf.io.decode_raw(tf.strings.substr(photos, 0, 1), tf.uint8), tf.float32)[:, 0] / 255 + bias
        return {"probabilities": tf.stack([value, 1 - value], axis=1)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="image_bytes")])
    def served(self, image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        return self._probabilities(image_bytes, tf.constant(0.0))

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def evaluated(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        parsed = tf.io.parse_example(examples, {"image": tf.io.FixedLenFeature([], tf.string)})
        return self._probabilities(parsed["image"], self.bias)


def _model(path: Path, bias: float) -> Any:
    module = _TwoSignatures(bias)
    signatures = {"serving_default": module.served, "evaluated": module.evaluated}
    tf.saved_model.save(module, str(path), signatures=signatures)
    return tf.saved_model.load(str(path))


def _example(index: int) -> bytes:
    example = tf.train.Example()
    example.features.feature["image"].bytes_list.value.append(bytes([index * 50]))
    example.features.feature["label"].int64_list.value.append(index % 2)
    example.features.feature["id"].bytes_list.value.append(f"photo {index}".encode())
    return example.SerializeToString()


def test_predictions_keep_ids_labels_and_order(tmp_path: Path) -> None:
    model = _model(tmp_path, 0.0)
    dataset = tf.data.Dataset.from_tensor_slices([_example(index) for index in range(3)])
    rows = list(predict(model.signatures["evaluated"], dataset))
    assert [(row["id"], row["label"]) for row in rows] == [("photo 0", 0), ("photo 1", 1), ("photo 2", 0)]
    assert rows[1]["probabilities"] == pytest.approx([50 / 255, 205 / 255], abs=1e-6)


def test_agreeing_signatures_differ_by_nothing(tmp_path: Path) -> None:
    assert serving_difference(_model(tmp_path, 0.0), "evaluated", [_example(1), _example(2)]) == 0.0


def test_differing_signatures_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"differs .* by 0.01"):
        serving_difference(_model(tmp_path, 0.01), "evaluated", [_example(1)])


def test_no_photos_no_difference(tmp_path: Path) -> None:
    assert serving_difference(_model(tmp_path, 0.5), "evaluated", []) == 0.0
