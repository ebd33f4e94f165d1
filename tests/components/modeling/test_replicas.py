"""Tests that several devices train like one: MirroredStrategy on two logical CPU devices, in a process of its own."""

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attr
import numpy as np
import pytest
import replicas
import tensorflow as tf

from components.modeling.hyperparameters import Hyperparameters

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folders(
    tmp_path_factory: pytest.TempPathFactory,
    image_files: Any,
    export_classifier: Callable[[str], str],
    trainable_backbone: str,
) -> tuple[Path, Path]:
    """Where one device and two devices have trained the same."""
    base_model = export_classifier(trainable_backbone)
    folders = tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("two")
    custom_config = {
        "hyperparameters": dataclasses.asdict(Hyperparameters(batch_size=9, seed=3)),
        "fine_tuning": {"learning_rate": 0.001, "epochs": 2, "layers": 0},
    }
    for folder in folders:
        fn_args = image_files.fn_args(folder, base_model=base_model, custom_config=dict(custom_config))
        values = {name: value for name, value in attr.asdict(fn_args).items() if value is not None}
        (folder / "fn_args.json").write_text(json.dumps(values))
    replicas.train(folders[0])
    process = subprocess.run(
        [sys.executable, replicas.__file__, str(folders[1])],
        # oneDNN's convolution, which GPUs do not use, gives an empty share of a batch the shape of its input.
        env={**os.environ, "TF_ENABLE_ONEDNN_OPTS": "0"},
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert process.returncode == 0, process.stderr[-3000:]
    return folders


def test_gradients_are_scaled_right(folders: tuple[Path, Path]) -> None:
    """Adam hides a wrong scale in the weights, but its moments show it: uneven and empty shares of a batch included."""
    one, two = (tf.train.load_checkpoint(str(folder / "head" / "latest")) for folder in folders)
    names = {name for name in one.get_variable_to_shape_map() if "/.OPTIMIZER_SLOT/optimizers/0/" in name}
    assert len(names) == 2 * 4
    for name in names:
        np.testing.assert_allclose(one.get_tensor(name), two.get_tensor(name), rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize("curve", ["head/history.json", "model_run_dir/history.json"])
def test_metrics_are_those_of_one_device(folders: tuple[Path, Path], curve: str) -> None:
    one, two = (json.loads((folder / curve).read_text()) for folder in folders)
    assert len(one) == len(two) == 2
    for a, b in zip(one, two, strict=True):
        assert b == pytest.approx(a, rel=1e-3)


def test_the_exported_models_agree(folders: tuple[Path, Path], encode_image: Callable[..., bytes]) -> None:
    photos = tf.constant([encode_image((60, 80, 170)), encode_image((170, 80, 70))])
    one, two = (
        tf.saved_model.load(str(folder / "serving_model_dir")).signatures["serving_default"](photos)
        for folder in folders
    )
    np.testing.assert_allclose(one["probabilities"], two["probabilities"], atol=1e-3)
