"""bfloat16 for training photos: where oneDNN is on it is TensorFlow's own, elsewhere it is refused."""

import os
import platform
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tfx import types
from tfx.types import standard_artifacts

from components.common.errors import UserError
from components.feature_extractor import bfloat16
from components.feature_extractor.bfloat16 import bfloat16_forward_pass
from components.feature_extractor.component import FeatureExtractor
from components.feature_extractor.extractor import ExtractionConfig, Extractor
from components.feature_extractor.inference_graph import load_forward_pass
from components.feature_extractor.precision import choose_precision, try_both


def _onednn_is_on() -> bool:
    return platform.machine() == "x86_64" and os.environ["TF_ENABLE_ONEDNN_OPTS"] != "0"


def _training_examples(raw_examples: types.Artifact) -> list[bytes]:
    (file,) = Path(raw_examples.uri, "Split-train").glob("*.gz")
    return list(tf.data.TFRecordDataset(str(file), "GZIP").as_numpy_iterator())


@pytest.mark.skipif(not _onednn_is_on(), reason="TensorFlow computes without oneDNN here")
def test_training_photos_alone_pass_in_bfloat16(
    raw_examples: types.Artifact, transform_graph: types.Artifact, save_convnet: Callable[..., Path]
) -> None:
    examples, found = _training_examples(raw_examples), {}
    for precision in ("float32", "bfloat16"):
        extractor = Extractor(
            ExtractionConfig(str(save_convnet()), "d1", transform_graph.uri, 1, "test", precision=precision)
        )
        for split in ("train", "test"):
            ((_, found[precision, split]),) = extractor.extract([(split, examples)])
    expected = found["float32", "train"]
    np.testing.assert_array_equal(found["float32", "test"], expected)
    np.testing.assert_array_equal(found["bfloat16", "test"], expected)
    assert found["bfloat16", "train"].dtype == np.float32
    difference = np.abs(found["bfloat16", "train"] - expected).max() / np.abs(expected).max()
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
    extractor = _TimedExtractor(config, slow_split, turned)
    assert try_both(extractor, _training_examples(raw_examples)) == chosen


def _mean_color(images: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(images, [1, 2])


def test_a_backbone_with_nothing_to_compute_in_it_is_refused() -> None:
    forward = tf.function(_mean_color, [tf.TensorSpec([None, 16, 16, 3], tf.float32)])
    with pytest.raises(UserError, match="TensorFlow has nothing to compute in bfloat16 here"):
        bfloat16_forward_pass(forward, (16, 16))


def test_auto_then_stays_with_float32(
    transform_graph: types.Artifact, tiny_backbone: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = ExtractionConfig(str(tiny_backbone), "d1", transform_graph.uri, 1, "test")
    with caplog.at_level("INFO", "components.feature_extractor.precision"):
        assert choose_precision("auto", config, iter(())) == "float32"
    assert "Features in float32" in caplog.text
    assert "--precision" not in caplog.text
    with pytest.raises(UserError, match=r"--precision bfloat16: .*; leave the option out"):
        choose_precision("bfloat16", config, iter(()))


def test_another_precision_is_refused() -> None:
    channel = types.Channel(type=standard_artifacts.Examples)
    with pytest.raises(UserError, match="'float16'; it must be one of float32, bfloat16, auto"):
        FeatureExtractor(channel, channel, channel, precision="float16")


@pytest.mark.skipif(not _onednn_is_on(), reason="TensorFlow computes without oneDNN here")
def test_features_that_differ_by_more_than_rounding_are_refused(
    save_convnet: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bfloat16, "TOLERANCE", 1e-6)
    with pytest.raises(UserError, match=r"features differ by \d\.\d% of the largest"):
        bfloat16_forward_pass(load_forward_pass(str(save_convnet()), (16, 16)), (16, 16))
