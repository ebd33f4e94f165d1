"""FeatureExtractor's contract, through real Beam."""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_hub as hub
from tfx import types
from tfx.dsl.components.base import base_beam_executor
from tfx.types import standard_artifacts

from components import contracts
from components.common.errors import UserError
from components.contracts import BACKBONE_PASSES_PROPERTY
from components.feature_extractor.component import FeatureExtractor
from components.feature_extractor.executor import Executor
from components.photos.decode import decode_image

SIZES = {"train": 11, "validation": 5, "test": 4}
Extract = Callable[..., standard_artifacts.Examples]


@pytest.fixture(scope="module")
def extract(
    tmp_path_factory: pytest.TempPathFactory,
    raw_examples: types.Artifact,
    transform_graph: types.Artifact,
    save_convnet: Callable[..., Path],
) -> Extract:
    """A function that runs the executor into a folder of its own."""

    def run(beam_args: list[str] | None = None, passes_file: str = "", batch_size: int = 4) -> Any:
        folder = tmp_path_factory.mktemp("extracted")
        backbone = standard_artifacts.Model()
        backbone.uri = str(folder / "backbone")
        Path(backbone.uri).mkdir()
        save_convnet(passes_file).rename(f"{backbone.uri}/Format-Serving")
        backbone.set_string_custom_property(contracts.BACKBONE_HANDLE_PROPERTY, "tiny handle")
        backbone.set_string_custom_property(contracts.BACKBONE_DIGEST_PROPERTY, "d1")
        features = standard_artifacts.Examples()
        features.uri = str(folder / "features")
        context = base_beam_executor.BaseBeamExecutor.Context(beam_pipeline_args=beam_args, unique_id="1")
        Executor(context).Do(
            {"examples": [raw_examples], "transform_graph": [transform_graph], "backbone": [backbone]},
            {"features": [features]},
            {"batch_size": batch_size},
        )
        return features

    return run


@pytest.fixture(scope="module")
def features(extract: Extract) -> standard_artifacts.Examples:
    return extract()


def _examples(artifact: types.Artifact, split: str) -> Iterator[dict[str, Any]]:
    files = sorted(str(path) for path in Path(artifact.uri, f"Split-{split}").iterdir())
    for record in tf.data.TFRecordDataset(files, compression_type="GZIP"):
        features = tf.train.Example.FromString(record.numpy()).features.feature
        yield {
            name: list(value.bytes_list.value or value.int64_list.value or value.float_list.value)
            for name, value in features.items()
        }


def _digests(artifact: types.Artifact) -> dict[str, str]:
    root = Path(artifact.uri)
    files = [path for path in root.rglob("*") if path.is_file()]
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_features_are_the_backbones_on_the_preprocessed_photo(
    features: types.Artifact, raw_examples: types.Artifact, save_convnet: Callable[..., Path]
) -> None:
    backbone = hub.KerasLayer(str(save_convnet()))
    for split, size in SIZES.items():
        extracted = {example["id"][0]: example for example in _examples(features, split)}
        raw = list(_examples(raw_examples, split))
        assert len(extracted) == len(raw) == size
        images = tf.stack([decode_image(example["image"][0], 16, 16) for example in raw])
        found = np.array([extracted[example["id"][0]]["feature_vector"] for example in raw], np.float32)
        np.testing.assert_allclose(found, backbone(images), rtol=1e-5, atol=1e-6)
        assert all(extracted[example["id"][0]]["label"] == example["label"] for example in raw)


def test_a_feature_example_names_its_photo_and_does_not_carry_it(
    features: types.Artifact, raw_examples: types.Artifact
) -> None:
    for split in SIZES:
        photos = {example["id"][0]: example["image"][0] for example in _examples(raw_examples, split)}
        for example in _examples(features, split):
            assert example.keys() == {"feature_vector", "label", "id", "backbone_digest", "photo_digest"}
            assert example["photo_digest"] == [hashlib.sha256(photos[example["id"][0]]).hexdigest().encode()]
            assert example["backbone_digest"] == [b"d1"]


def test_the_artifact_tells_where_the_features_come_from(features: types.Artifact) -> None:
    assert features.get_string_custom_property(contracts.BACKBONE_HANDLE_PROPERTY) == "tiny handle"
    assert features.get_string_custom_property(contracts.BACKBONE_DIGEST_PROPERTY) == "d1"
    assert features.get_string_custom_property(contracts.DATASET_NAME_PROPERTY) == "tiny"


@pytest.mark.parametrize(
    ("batch_size", "expected"),
    [(4, [4, 4, 3, 3, 2, 4]), (1, [2] * 20)],
    ids=["as even as can be", "a lone photo is computed as a pair"],
)
def test_every_photo_passes_through_the_backbone_once(
    extract: Extract, tmp_path: Path, batch_size: int, expected: list[int]
) -> None:
    """Counted by the backbone itself, in batches of each split's one file."""
    passes_file = tmp_path / "passes"
    features = extract(passes_file=str(passes_file), batch_size=batch_size)
    batches = [int(line) for line in passes_file.read_text().split()]
    assert features.get_int_custom_property(BACKBONE_PASSES_PROPERTY) == sum(SIZES.values())
    assert sorted(batches) == sorted(expected)


@pytest.mark.slow
def test_bytes_do_not_depend_on_run_or_workers(extract: Extract, features: types.Artifact) -> None:
    first = _digests(features)
    threads = ["--direct_running_mode=multi_threading", "--direct_num_workers=2"]
    assert first == _digests(extract())
    assert first == _digests(extract(beam_args=threads))


def test_batch_size_below_one_is_refused() -> None:
    channel = types.Channel(type=standard_artifacts.Examples)
    graph = types.Channel(type=standard_artifacts.TransformGraph)
    with pytest.raises(UserError, match="batch size is 0"):
        FeatureExtractor(channel, graph, types.Channel(type=standard_artifacts.Model), batch_size=0)
