"""The strong recipe: a kernel machine beside dense layers, and factors that calibrate both."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tf_examples import feature_example

from components.modeling.head import build_head, exported_weights, rebuild_head, signed_root, with_kernel_machine
from components.modeling.input_pipeline import FeaturePipeline
from components.trainer import strong_head
from components.trainer.calibration import cross_entropy, fit_scales
from components.trainer.strong_head import fit_kernel_machines, strengthen

_D, _CLASSES = 6, 3
_SIZES = {"train": 240, "validation": 120}


@pytest.fixture
def features(tmp_path: Path) -> FeaturePipeline:
    """Two rings around each other and a third class beside them: no plane tells the rings apart."""
    rng = np.random.default_rng(1)
    patterns = []
    for split, size in _SIZES.items():
        path = str(tmp_path / f"{split}.gz")
        with tf.io.TFRecordWriter(path, tf.io.TFRecordOptions(compression_type="GZIP")) as writer:
            for label in rng.integers(0, _CLASSES, size):
                vector = rng.normal(size=_D)
                vector *= (1.0, 4.0, 1.0)[label] / np.linalg.norm(vector)
                writer.write(feature_example(list(vector + 9 * (label == 2)), label, b""))
        patterns.append([path])
    return FeaturePipeline(*patterns, 10**9)


def _accuracy(head: tf.keras.Model, features: FeaturePipeline) -> float:
    return float(np.mean([head(x).numpy().argmax(1) == y.numpy() for x, y in features.validation_batches()]))


def _untrained() -> tf.keras.Sequential:
    return build_head(_D, _CLASSES, 5, seed=4)


def test_it_learns_what_dense_layers_have_not(features: FeaturePipeline) -> None:
    head = _untrained()
    before = _accuracy(head, features)
    strong = strengthen(head, features, seed=0)
    assert before < 0.7
    assert _accuracy(strong, features) > 0.9


def test_dense_layers_that_mislead_get_no_weight(features: FeaturePipeline) -> None:
    head = _untrained()
    batches = [(head(x).numpy(), y.numpy()) for x, y in features.validation_batches()]
    (scale,) = fit_scales([np.concatenate([x for x, _ in batches])], np.concatenate([y for _, y in batches]))
    if scale > 0:
        head.layers[-1].set_weights([-weight for weight in head.layers[-1].get_weights()])
    strong = strengthen(head, features, seed=0)
    assert all(np.isfinite(weight).all() for weight in exported_weights(strong))
    assert _accuracy(strong, features) > 0.9


def test_it_repeats_and_is_rebuilt_from_what_is_exported(features: FeaturePipeline) -> None:
    strong, again = (strengthen(_untrained(), features, seed=3) for _ in range(2))
    for first, second in zip(exported_weights(strong), exported_weights(again), strict=True):
        np.testing.assert_array_equal(first, second)
    inputs = tf.random.stateless_normal([7, _D], [1, 2])
    np.testing.assert_array_equal(rebuild_head(exported_weights(strong))(inputs), strong(inputs))
    assert strong.name == _untrained().name
    assert strong.input_shape == (None, _D)


def test_dense_layers_alone_are_exported_as_before() -> None:
    head = _untrained()
    for exported, weight in zip(exported_weights(head), head.weights, strict=True):
        np.testing.assert_array_equal(exported, weight)


@pytest.mark.parametrize("limit", [40, 2048])
def test_the_coefficients_solve_ridge_regression(
    features: FeaturePipeline, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With all photos as centers as well as with some of them, against the textbook's formula."""
    monkeypatch.setattr(strong_head, "MAX_CENTERS", limit)
    batches = list(features.training_batches(1024, 0, 0))
    roots = signed_root(tf.cast(tf.concat([x for x, _ in batches], 0), tf.float64)).numpy()
    truth = np.eye(_CLASSES)[np.concatenate([y for _, y in batches])] - 1 / _CLASSES
    for centers, inverse_width, coefficients in fit_kernel_machines(features, 0, _CLASSES):
        np.testing.assert_allclose(centers, roots[:limit], rtol=1e-6)

        def kernel(a: np.ndarray, b: np.ndarray, inverse: float = inverse_width) -> np.ndarray:
            return np.exp(-inverse * np.sum((a[:, None] - b) ** 2, axis=-1))

        likeness, among = kernel(roots, roots[:limit]), kernel(roots[:limit], roots[:limit])
        expected = np.linalg.solve(likeness.T @ likeness + 0.1 * among + 1e-6 * np.eye(len(among)), likeness.T @ truth)
        predicted = likeness @ coefficients
        np.testing.assert_allclose(predicted, likeness @ expected, atol=2e-4)


def test_the_layer_answers_what_was_solved(features: FeaturePipeline) -> None:
    head = _untrained()
    machine = fit_kernel_machines(features, 0, _CLASSES)[0]
    both = with_kernel_machine(head, [np.float32(0.3), *machine])
    inputs = next(iter(features.validation_batches()))[0]
    centers, inverse_width, coefficients = machine
    distances = np.sum((signed_root(inputs).numpy()[:, None] - centers) ** 2, axis=-1)
    np.testing.assert_allclose(
        both(inputs), 0.3 * head(inputs) + np.exp(-inverse_width * distances) @ coefficients, rtol=1e-3, atol=1e-3
    )


def test_dense_layers_are_calibrated_alone_even_where_they_have_no_weight(features: FeaturePipeline) -> None:
    head = _untrained()
    strengthen(head, features, seed=0)
    batches = list(features.validation_batches())
    inputs, labels = (np.concatenate([batch[at] for batch in batches]) for at in (0, 1))
    (scale,) = fit_scales([head(inputs).numpy()], labels)
    assert scale == pytest.approx(1, rel=0.01)


def test_only_dense_layers_can_be_trained(features: FeaturePipeline) -> None:
    assert len(strengthen(_untrained(), features, seed=0).trainable_variables) == 4


@pytest.mark.parametrize("sign", [1, -1])
def test_the_root_keeps_signs_and_has_a_slope_at_zero(sign: int) -> None:
    values = tf.constant([0.0, 0.25, 4.0]) * sign
    with tf.GradientTape() as tape:
        tape.watch(values)
        roots = signed_root(values)
    np.testing.assert_allclose(roots, np.array([0.0, 0.5, 2.0]) * sign, atol=0.04)
    assert np.all(np.isfinite(tape.gradient(roots, values)))


def _drawn(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns logits, and labels drawn from their own probabilities."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (count, 4))
    return logits, (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_scaling_undoes_the_factor_by_which_logits_are_too_large(factor: float) -> None:
    logits, labels = _drawn(20_000)
    (scale,) = fit_scales([logits * factor], labels)
    assert scale == pytest.approx(1 / factor, rel=0.05)


def test_a_part_that_knows_nothing_gets_no_weight() -> None:
    logits, labels = _drawn(20_000)
    noise = np.random.default_rng(1).normal(0, 2, logits.shape)
    assert fit_scales([logits, noise], labels) == pytest.approx([1, 0], abs=0.05)
    assert fit_scales([logits * 0.5, logits * 0.5], labels).sum() == pytest.approx(2, rel=0.05)


def test_a_few_examples_that_are_all_right_do_not_ask_for_certainty() -> None:
    labels = np.array([0, 1, 2, 0])
    logits = np.eye(3)[labels]
    (scale,) = fit_scales([logits], labels)
    assert 0.1 < cross_entropy(logits * scale, labels) < 0.3
