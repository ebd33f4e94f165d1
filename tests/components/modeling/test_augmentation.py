"""Tests of the random changes of training photos."""

import numpy as np
import tensorflow as tf

from components.modeling.image_pipeline import flip_and_colour, random_crop


def _photo() -> tf.Tensor:
    """A gradient to the right, red, on a green ground: shows flips, crops and colours."""
    ramp = np.tile(np.linspace(0.1, 0.9, 32, dtype=np.float32), (24, 1))
    return tf.constant(np.stack([ramp, np.full_like(ramp, 0.6), np.full_like(ramp, 0.2)], axis=-1))


def _augmented(count: int) -> np.ndarray:
    return np.stack([flip_and_colour(_photo(), tf.constant([3, index], tf.int64)) for index in range(count)])


def _crops(count: int, min_area: float) -> list[np.ndarray]:
    return [random_crop(_photo(), tf.constant([3, index], tf.int64), min_area).numpy() for index in range(count)]


def test_keeps_shape_and_range() -> None:
    images = _augmented(20)
    assert images.shape == (20, 24, 32, 3)
    assert images.dtype == np.float32
    assert images.min() >= 0
    assert images.max() <= 1


def test_a_seed_fixes_the_result_and_seeds_differ() -> None:
    first, second = _augmented(4), _augmented(4)
    np.testing.assert_array_equal(first, second)
    assert len({image.tobytes() for image in first}) == 4


def test_flips_about_half_and_varies_the_colour() -> None:
    images = _augmented(60)
    slope = images[:, :, -1, 0].mean(axis=1) - images[:, :, 0, 0].mean(axis=1)
    flipped = (slope < 0).mean()
    assert 0.25 < flipped < 0.75
    assert images[..., 1].mean(axis=(1, 2)).std() > 0.02


def test_crops_are_parts_of_the_photo_of_at_least_the_smallest_area() -> None:
    crops = _crops(60, 0.35)
    shares = [crop.shape[0] * crop.shape[1] / (24 * 32) for crop in crops]
    assert 0.3 < min(shares) < 0.5
    assert 0.85 < max(shares) <= 1
    ramp = _photo().numpy()[0, :, 0]
    for crop in crops:
        left = int(np.argmin(np.abs(ramp - crop[0, 0, 0])))
        np.testing.assert_array_equal(crop[0, :, 0], ramp[left : left + crop.shape[1]])
    assert min(crop.shape[1] / crop.shape[0] for crop in crops) > 0.7
    assert max(crop.shape[1] / crop.shape[0] for crop in crops) < 1.45


def test_the_same_inside_tf_data() -> None:
    seeds = tf.data.Dataset.from_tensor_slices(tf.constant([[3, 0], [3, 1]], tf.int64))
    mapped = np.stack(list(seeds.map(lambda seed: flip_and_colour(_photo(), seed)).as_numpy_iterator()))
    np.testing.assert_allclose(mapped, _augmented(2), atol=1e-5)
