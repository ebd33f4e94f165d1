"""Per-photo predictions, the check of the served model, and which models stay loaded."""

import functools
import hashlib
import io
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from components.common.errors import UserError
from components.contracts.evaluation import ExamplePrediction
from components.evaluator.classifier import classify, load_model, serving_difference
from components.photos.convert import convert


def _classify(examples: Sequence[bytes], bias: float = 0.0) -> np.ndarray:
    """Looks at the first byte of the photo; `bias` shifts the result."""
    values = np.array(
        [tf.train.Example.FromString(e).features.feature["image"].bytes_list.value[0][0] for e in examples]
    )
    return np.stack([values / 255 + bias, 1 - values / 255 - bias], axis=1)


def _predict(model: Callable[[Sequence[bytes]], np.ndarray], examples: Sequence[bytes]) -> list[ExamplePrediction]:
    batches = classify({"model": model}, tf.data.Dataset.from_tensor_slices(list(examples)))
    return [prediction for batch in batches for prediction in batch.predictions("model")]


def _serve(image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
    values = np.array([photo[0] for photo in image_bytes.numpy()])
    return {"probabilities": tf.constant(np.stack([values / 255, 1 - values / 255], axis=1))}


def _photo(index: int) -> bytes:
    return bytes([index * 50])


def _digest(index: int) -> str:
    return hashlib.sha256(_photo(index)).hexdigest()


def _example(index: int) -> bytes:
    example = tf.train.Example()
    example.features.feature["image"].bytes_list.value.append(_photo(index))
    example.features.feature["label"].int64_list.value.append(index % 2)
    example.features.feature["id"].bytes_list.value.append(f"photo {index}".encode())
    return example.SerializeToString()


def test_predictions_keep_ids_labels_and_order() -> None:
    rows = _predict(_classify, [_example(index) for index in range(3)])
    assert [(row.id, row.label) for row in rows] == [("photo 0", 0), ("photo 1", 1), ("photo 2", 0)]
    assert [row.digest for row in rows] == [hashlib.sha256(bytes([index * 50])).hexdigest() for index in range(3)]
    assert rows[1].probabilities == pytest.approx([50 / 255, 205 / 255], abs=1e-6)


def test_of_a_converted_photo_the_source_is_told() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "TIFF")
    example = tf.train.Example.FromString(_example(0))
    example.features.feature["image"].bytes_list.value[0] = convert(buffer.getvalue())
    [row] = _predict(_classify, [example.SerializeToString()])
    assert row.digest == hashlib.sha256(buffer.getvalue()).hexdigest()


def test_a_feature_example_tells_the_digest_of_its_photo() -> None:
    example = tf.train.Example.FromString(_example(1))
    example.features.feature["image"].Clear()
    example.features.feature["photo_digest"].bytes_list.value.append(_digest(1).encode())
    [row] = _predict(lambda examples: np.array([[0.25, 0.75]] * len(examples)), [example.SerializeToString()])
    assert row.photo == ("photo 1", _digest(1))


def _difference(bias: float, evaluated: Sequence[int], served: Sequence[int]) -> float:
    """Evaluates some photos, and compares with what is served on others."""
    rows = _predict(functools.partial(_classify, bias=bias), [_example(index) for index in evaluated])
    return serving_difference(rows, _serve, {(f"photo {index}", _digest(index)): _photo(index) for index in served})


def test_agreement_is_no_difference() -> None:
    assert _difference(0.0, [1, 2, 3], [3, 1]) == 0.0


def test_a_served_model_that_differs_is_refused() -> None:
    with pytest.raises(UserError, match=r"differs .* by 0.01"):
        _difference(0.01, [1, 2], [1])


def test_features_of_other_photos_are_refused() -> None:
    with pytest.raises(UserError, match=r"1 of 2 photos are not among the features"):
        _difference(0.0, [1], [1, 2])


def test_no_photos_no_difference() -> None:
    assert _difference(0.5, [1], []) == 0.0


def test_each_model_gets_its_own_probabilities_for_the_same_examples() -> None:
    models = {"model": _classify, "baseline": functools.partial(_classify, bias=0.5)}
    [batch] = classify(models, tf.data.Dataset.from_tensor_slices([_example(index) for index in range(3)]))
    np.testing.assert_allclose(batch.probabilities["baseline"][:, 0], batch.probabilities["model"][:, 0] + 0.5)
    assert list(batch.labels) == [0, 1, 0]


def _save(value: float, folder: Path) -> str:
    module = tf.Module()
    module.value = tf.Variable(value)
    tf.saved_model.save(module, str(folder))
    return str(folder)


def test_candidate_and_baseline_stay_loaded_and_apart(tmp_path: Path) -> None:
    candidate, baseline = _save(1.0, tmp_path / "1"), _save(2.0, tmp_path / "2")

    first = load_model(candidate)

    assert float(load_model(baseline).value) == 2.0
    assert load_model(candidate) is first
    assert float(first.value) == 1.0
