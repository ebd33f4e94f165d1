"""bfloat16 for training photos: where oneDNN is on it is TensorFlow's own, elsewhere it is refused."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import with_onednn
from tfx import types

from components.common.errors import UserError
from components.feature_extractor import bfloat16
from components.feature_extractor.bfloat16 import bfloat16_forward_pass
from components.feature_extractor.extractor import ExtractionConfig, Extractor
from components.feature_extractor.precision import choose_precision, try_both


def _training_examples(raw_examples: types.Artifact) -> str:
    (file,) = Path(raw_examples.uri, "Split-train").glob("*.gz")
    return str(file)


@pytest.fixture(scope="module")
def features(
    tmp_path_factory: pytest.TempPathFactory,
    raw_examples: types.Artifact,
    transform_graph: types.Artifact,
    save_convnet: Callable[..., Path],
) -> dict[str, np.ndarray]:
    """By precision and split, of the same photos."""
    result = tmp_path_factory.mktemp("with_onednn") / "features.npz"
    arguments = [str(save_convnet()), transform_graph.uri, _training_examples(raw_examples), str(result)]
    process = subprocess.run(
        [sys.executable, with_onednn.__file__, *arguments],
        env={**os.environ, "TF_ENABLE_ONEDNN_OPTS": "1"},
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert process.returncode == 0, process.stderr[-3000:]
    with np.load(result) as arrays:
        return dict(arrays)


def test_training_photos_alone_pass_in_bfloat16(features: dict[str, np.ndarray]) -> None:
    expected = features["float32 train"]
    np.testing.assert_array_equal(features["float32 test"], expected)
    np.testing.assert_array_equal(features["bfloat16 test"], expected)
    assert features["bfloat16 train"].dtype == np.float32
    difference = np.abs(features["bfloat16 train"] - expected).max() / np.abs(expected).max()
    assert 1e-4 < difference < bfloat16.TOLERANCE


class _TimedExtractor(Extractor):
    """The photos of one split pass slowly; the features of training photos may come out turned."""

    def __init__(self, config: ExtractionConfig, slow_split: str, turned: bool):
        super().__init__(config)
        self._slow_split, self._turned = slow_split, turned

    def forward(self, images: tf.Tensor, split: str) -> np.ndarray:
        found = super().forward(images, split)
        if split == self._slow_split:
            time.sleep(0.3)
        return -found if self._turned and split == "train" else found


@pytest.mark.parametrize(
    ("slow_split", "turned", "chosen"),
    [("validation", False, "bfloat16"), ("train", False, "float32"), ("validation", True, "float32")],
)
def test_auto_takes_what_is_faster_if_the_answers_agree(
    *,
    raw_examples: types.Artifact,
    transform_graph: types.Artifact,
    save_convnet: Callable[..., Path],
    slow_split: str,
    turned: bool,
    chosen: str,
) -> None:
    config = ExtractionConfig(str(save_convnet()), "d1", transform_graph.uri, 1, "test")
    examples = list(tf.data.TFRecordDataset(_training_examples(raw_examples), "GZIP").as_numpy_iterator())
    assert try_both(_TimedExtractor(config, slow_split, turned), examples) == chosen


def _mean_color(images: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(images, [1, 2])


def test_a_backbone_with_nothing_to_compute_in_it_is_refused() -> None:
    forward = tf.function(_mean_color, [tf.TensorSpec([None, 16, 16, 3], tf.float32)])
    with pytest.raises(UserError, match="--precision bfloat16, but TensorFlow has nothing to compute in it here"):
        bfloat16_forward_pass(forward, (16, 16))


def test_auto_then_stays_with_float32(
    transform_graph: types.Artifact, tiny_backbone: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = ExtractionConfig(str(tiny_backbone), "d1", transform_graph.uri, 1, "test")
    with caplog.at_level("INFO", "components.feature_extractor.precision"):
        assert choose_precision("auto", config, iter(())) == "float32"
    assert "Features in float32" in caplog.text
    with pytest.raises(UserError, match="leave the option out"):
        choose_precision("bfloat16", config, iter(()))
