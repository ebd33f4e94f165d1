import pytest

from components.common.errors import UserError
from components.modeling.backbones import contract as inspection
from components.modeling.backbones.cache import content_digest
from components.modeling.backbones.contract import inspect_backbone
from components.modeling.backbones.loading import load_backbone, prepare_backbone

import tensorflow as tf  # isort: skip

pytestmark = pytest.mark.usefixtures("cache")


def _save(path, function, spec):
    module = tf.Module()
    module.__call__ = tf.function(function, input_signature=[spec])
    tf.saved_model.save(module, str(path))
    return str(path)


def _images(height=4, width=6, channels=3, dtype=tf.float32):
    return tf.TensorSpec([None, height, width, channels], dtype)


def _pool(images):
    return tf.reduce_mean(images, axis=[1, 2])


def test_a_local_folder_is_used_in_place_and_measured(small_backbone):
    path, info = prepare_backbone(str(small_backbone))
    assert path == str(small_backbone)
    assert (info.image_size, info.feature_size, info.trainable) == ((4, 6), 6, True)


def test_a_remembered_inspection_equals_the_first_one(small_backbone, monkeypatch):
    first = inspect_backbone(str(small_backbone))
    monkeypatch.setattr(inspection, "_load", lambda *_: pytest.fail("loaded again"))
    assert inspect_backbone(str(small_backbone)) == first


def test_the_digest_follows_content_not_place(small_backbone, tmp_path):
    moved = small_backbone.rename(tmp_path / "elsewhere")
    before = content_digest(str(moved))
    assert content_digest(f"{moved}/") == before == content_digest(f"file://{moved}")
    (moved / "saved_model.pb").rename(moved / "other.pb")
    assert content_digest(str(moved)) != before


def test_any_image_size_needs_a_given_one(tmp_path):
    path = _save(tmp_path / "any", _pool, _images(None, None))
    assert inspect_backbone(path, image_size=(32, 48)).image_size == (32, 48)
    with pytest.raises(UserError, match="takes images of any size: give the image size"):
        inspect_backbone(path)


def test_other_sizes_than_expected_are_user_errors(small_backbone):
    with pytest.raises(UserError, match="takes images of 4x6 pixels where 5x5 were expected"):
        inspect_backbone(str(small_backbone), image_size=(5, 5))
    with pytest.raises(UserError, match="returns 6 features where 7 were expected"):
        inspect_backbone(str(small_backbone), feature_size=7)


@pytest.mark.parametrize(
    ("function", "spec", "message"),
    [
        (lambda x: _pool(tf.cast(x, tf.float32)), _images(dtype=tf.uint8), r"takes uint8 \[N, 4, 6, 3\]: a backbone"),
        (_pool, _images(channels=1), r"takes float32 \[N, 4, 6, 1\]: a backbone"),
        (tf.strings.length, tf.TensorSpec([None], tf.string), r"takes string \[N\]: a backbone"),
        (lambda x: x * 2.0, _images(), r"returns float32 \[N, 4, 6, 3\]: a backbone"),
        (lambda x: {"features": _pool(x)}, _images(), "returns a .*[dD]ict.*, not a tensor: a backbone"),
        (lambda x: tf.argmax(_pool(x), axis=1), _images(), r"returns int64 \[N\]: a backbone"),
        (lambda x: tf.reshape(x, [1, 72]), _images(), "fails on images of 4x6 pixels"),
    ],
    ids=["bytes", "gray", "text", "not_pooled", "dictionary", "classes", "one_at_a_time"],
)
def test_a_broken_contract_says_what_was_found(function, spec, message, tmp_path):
    path = _save(tmp_path / "model", function, spec)
    with pytest.raises(UserError, match=message) as caught:
        inspect_backbone(path)
    assert "\n" not in str(caught.value)


def test_a_model_without_call_is_named_by_its_signatures(tmp_path):
    module = tf.Module()
    serve = tf.function(_pool, input_signature=[_images()])
    tf.saved_model.save(module, str(tmp_path / "served"), signatures={"serve": serve})
    with pytest.raises(UserError, match=r"has no __call__ function \(its signatures: serve\): a backbone is"):
        inspect_backbone(str(tmp_path / "served"))


def test_folders_that_hold_no_model_are_user_errors(tmp_path):
    with pytest.raises(UserError, match="unknown backbone 'inceptionv3': give inception_v3, mobilenet_v2"):
        load_backbone("inceptionv3")
    with pytest.raises(UserError, match=r"not a SavedModel folder: it holds no saved_model.pb"):
        load_backbone(str(tmp_path))
    (tmp_path / "saved_model.pb").write_bytes(b"not a protocol buffer")
    with pytest.raises(UserError, match="not a SavedModel that can be loaded"):
        prepare_backbone(str(tmp_path))
