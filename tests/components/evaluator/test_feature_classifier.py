"""Models are loaded once, and no two are mixed up."""

from pathlib import Path

import tensorflow as tf

from components.evaluator.feature_classifier import load_model


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
