"""FeatureExtractor's contract, through real Beam."""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_hub as hub
from tf_examples import examples_artifact, raw_example
from tfx import types
from tfx.dsl.components.base import base_beam_executor
from tfx.types import standard_artifacts

from components import contracts
from components.common.errors import UserError
from components.contracts import BACKBONE_PASSES_PROPERTY
from components.feature_extractor.component import FeatureExtractor
from components.feature_extractor.executor import Executor
from components.modeling.backbones.saved_model import save_feature_vector
from components.photos.decode import decode_image
from pipeline.beam_runners.beam_args import beam_args

SIZES = {"train": 11, "validation": 5, "test": 4}
Extract = Callable[..., standard_artifacts.Examples]


class CountingBackbone(tf.Module):
    """A convolution that notes its batch sizes in a file, if one is given."""

    def __init__(self, passes_file: str) -> None:
        super().__init__()
        self.kernel = tf.Variable(tf.random.Generator.from_seed(7).normal([3, 3, 3, 12], stddev=0.3))
        self._passes_file = passes_file

    def __call__(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        if self._passes_file and not training:
            tf.print(tf.shape(images)[0], output_stream=f"file://{self._passes_file}")
        return tf.reduce_mean(tf.nn.relu(tf.nn.conv2d(images, self.kernel, 2, "SAME")), [1, 2])


@pytest.fixture(scope="module")
def save_backbone(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    def save(passes_file: str = "") -> Path:
        path = tmp_path_factory.mktemp("backbone") / "model"
        save_feature_vector(CountingBackbone(passes_file), path, (16, 16))
        return path

    return save


@pytest.fixture(scope="module")
def raw_examples(tmp_path_factory: pytest.TempPathFactory, encode_image: Callable[..., bytes]) -> types.Artifact:
    """Photos of different sizes in three splits."""
    splits = {
        split: [
            raw_example(
                encode_image((20 * i, 100, 250 - 20 * i), size=(20 + i, 33 - i), seed=i), i % 3, f"{split}/{i}".encode()
            )
            for i in range(size)
        ]
        for split, size in SIZES.items()
    }
    return examples_artifact(tmp_path_factory.mktemp("raw"), splits, dataset_name="tiny")


@pytest.fixture(scope="module")
def extract(
    tmp_path_factory: pytest.TempPathFactory,
    raw_examples: types.Artifact,
    transform_graph: str,
    save_backbone: Callable[..., Path],
) -> Extract:
    """A function that runs the executor into a folder of its own."""

    def run(args: tuple[str, ...] = beam_args("direct"), passes_file: str = "", batch_size: int = 4) -> Any:
        folder = tmp_path_factory.mktemp("extracted")
        backbone = standard_artifacts.Model()
        backbone.uri = str(folder / "backbone")
        Path(backbone.uri).mkdir()
        save_backbone(passes_file).rename(f"{backbone.uri}/Format-Serving")
        backbone.set_string_custom_property(contracts.BACKBONE_HANDLE_PROPERTY, "tiny handle")
        backbone.set_string_custom_property(contracts.BACKBONE_DIGEST_PROPERTY, "d1")
        graph, features = standard_artifacts.TransformGraph(), standard_artifacts.Examples()
        graph.uri, features.uri = transform_graph, str(folder / "features")
        context = base_beam_executor.BaseBeamExecutor.Context(beam_pipeline_args=list(args), unique_id="1")
        Executor(context).Do(
            {"examples": [raw_examples], "transform_graph": [graph], "backbone": [backbone]},
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


def _contents(artifact: types.Artifact) -> dict[str, bytes]:
    root = Path(artifact.uri)
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_features_are_the_backbones_on_the_preprocessed_photo(
    features: types.Artifact, raw_examples: types.Artifact, save_backbone: Callable[..., Path]
) -> None:
    backbone = hub.KerasLayer(str(save_backbone()))
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
@pytest.mark.parametrize(("mode", "workers"), [("multi_threading", 2), ("multi_processing", 1)])
def test_bytes_do_not_depend_on_run_or_workers(
    extract: Extract, features: types.Artifact, mode: str, workers: int
) -> None:
    args = beam_args("multi_processing", workers, [f"--direct_running_mode={mode}"])
    assert _contents(extract(args)) == _contents(features)


def test_batch_size_below_one_is_refused() -> None:
    channel = types.Channel(type=standard_artifacts.Examples)
    graph = types.Channel(type=standard_artifacts.TransformGraph)
    with pytest.raises(UserError, match="batch size is 0"):
        FeatureExtractor(channel, graph, types.Channel(type=standard_artifacts.Model), batch_size=0)
