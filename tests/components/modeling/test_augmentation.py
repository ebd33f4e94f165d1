"""Tests of the random changes of training photos."""

import numpy as np
import tensorflow as tf

from components.modeling.augmentation import augment


def _photo() -> tf.Tensor:
    """A gradient to the right, red, on a green ground: shows flips, crops and colours."""
    ramp = np.tile(np.linspace(0.1, 0.9, 32, dtype=np.float32), (24, 1))
    return tf.constant(np.stack([ramp, np.full_like(ramp, 0.6), np.full_like(ramp, 0.2)], axis=-1))


def _augmented(count: int) -> np.ndarray:
    return np.stack([augment(_photo(), tf.constant([3, index], tf.int64)) for index in range(count)])


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


def test_crops_show_part_of_the_photo() -> None:
    """Cropping narrows the gradient's range; brightness and contrast alone keep its ends apart."""
    spans = np.ptp(_augmented(40)[..., 0].mean(axis=1), axis=1)
    assert spans.min() < 0.62 < spans.max()


def test_the_same_inside_tf_data() -> None:
    seeds = tf.data.Dataset.from_tensor_slices(tf.constant([[3, 0], [3, 1]], tf.int64))
    mapped = np.stack(list(seeds.map(lambda seed: augment(_photo(), seed)).as_numpy_iterator()))
    np.testing.assert_allclose(mapped, _augmented(2), atol=1e-5)
