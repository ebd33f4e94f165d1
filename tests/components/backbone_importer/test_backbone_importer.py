import json
from pathlib import Path

import pytest
from tfx.types import standard_artifacts
from tfx.utils import path_utils

from components.backbone_importer import BackboneImporter
from components.common.errors import UserError
from components.modeling.backbones.cache import content_digest
from components.modeling.backbones.saved_model import save_feature_vector

import tensorflow as tf  # isort: skip
import tensorflow_hub as hub  # isort: skip


class MeanColour(tf.Module):
    def __init__(self):
        super().__init__()
        self.scale = tf.Variable(2.0)

    def __call__(self, images, training=False):
        del training
        return self.scale * tf.reduce_mean(images, axis=[1, 2])


@pytest.fixture
def backbone(tmp_path, monkeypatch):
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path / "cache"))
    save_feature_vector(MeanColour(), tmp_path / "backbone", (4, 5))
    return str(tmp_path / "backbone")


def _run(backbone, uri, image_size=None, digest=""):
    model = standard_artifacts.Model()
    model.uri = str(uri)
    BackboneImporter.test_call(backbone=backbone, image_size=json.dumps(image_size), digest=digest, model=model)
    return model


def test_imports_a_backbone_as_the_trainers_base_model(backbone, tmp_path):
    digest = content_digest(backbone)
    model = _run(backbone, tmp_path / "model", (4, 5), digest)
    properties = {
        name: model.get_custom_property(name)
        for name in ("backbone_handle", "backbone_digest", "image_size", "feature_size", "backbone_license")
    }
    assert properties == {
        "backbone_handle": backbone,
        "backbone_digest": digest,
        "image_size": json.dumps([4, 5]),
        "feature_size": 3,
        "backbone_license": "unknown",
    }
    copied = path_utils.serving_model_path(model.uri)
    assert Path(copied) == tmp_path / "model" / "Format-Serving"
    assert content_digest(copied) == digest
    assert hub.KerasLayer(copied)(tf.ones([2, 4, 5, 3])).numpy().tolist() == [[2.0] * 3] * 2


def test_a_changed_backbone_is_refused_before_anything_is_written(backbone, tmp_path):
    with pytest.raises(UserError, match=f"content digest {content_digest(backbone)}, expected 0000"):
        _run(backbone, tmp_path / "model", digest="0" * 64)
    assert not (tmp_path / "model").exists()


def test_a_wrong_image_size_is_refused(backbone, tmp_path):
    with pytest.raises(UserError, match="4x5 pixels where 224x224"):
        _run(backbone, tmp_path / "model", (224, 224))
