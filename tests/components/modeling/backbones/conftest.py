import shutil

import pytest

from components.modeling.backbones.loading import load_backbone
from components.modeling.backbones.saved_model import save_feature_vector

import tensorflow as tf  # isort: skip


class HalfMeans(tf.Module):
    """The mean colour of each half of an image, times a trainable scale."""

    def __init__(self, scale=1.0):
        super().__init__()
        self.scale = tf.Variable(scale, name="scale")

    def __call__(self, images, training=False):
        del training
        left, right = tf.split(images, 2, axis=2)
        return self.scale * tf.concat([tf.reduce_mean(half, axis=[1, 2]) for half in (left, right)], axis=1)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache folder for one test."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(folder))
    return folder


@pytest.fixture(scope="session")
def saved_small_backbone(tmp_path_factory):
    path = tmp_path_factory.mktemp("small_backbone") / "tiny"
    save_feature_vector(HalfMeans(), path, (4, 6))
    return path


@pytest.fixture
def small_backbone(saved_small_backbone, tmp_path):
    """The folder of a backbone from [N, 4, 6, 3] to [N, 6]."""
    return shutil.copytree(saved_small_backbone, tmp_path / "tiny")


@pytest.fixture(scope="session")
def lite0_cache(tmp_path_factory):
    """A cache folder with EfficientNet-Lite0, built once for all tests."""
    folder = tmp_path_factory.mktemp("lite0_cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TFHUB_CACHE_DIR", str(folder))
        load_backbone("efficientnet_lite0")
    return folder
