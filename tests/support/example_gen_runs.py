"""TfdsExampleGen, run outside a pipeline, and the examples that it wrote."""

import json
from pathlib import Path

import tensorflow as tf
from tfx.types import artifact_utils, standard_artifacts

from components import contracts
from components.common.records import from_json
from components.contracts.quarantine import LEFT_OUT_FILE, QuarantineEntry
from components.example_gen.component import TfdsExampleGen
from components.example_gen.executor import Executor
from components.example_gen.options import DataSource

Photos = dict[str, tuple[bytes, int]]  # {id: (file, label)}


def run_example_gen(
    root: Path, fingerprint: str = "", corrections: dict[str, str | None] | None = None, **source: object
) -> standard_artifacts.Examples:
    """Runs the executor; `root` receives the artifact and the prepared dataset."""
    component = TfdsExampleGen(
        DataSource(data_dir=str(root / "data"), **source),
        fingerprint=fingerprint,
        corrections=json.dumps(corrections) if corrections else "",
    )
    examples = standard_artifacts.Examples()
    examples.uri = str(root / "examples")
    Executor().Do({}, {"examples": [examples]}, component.exec_properties)
    return examples


def parse(serialized: bytes) -> tuple[str, bytes, int]:
    feature = tf.train.Example.FromString(serialized).features.feature
    assert set(feature) == {contracts.IMAGE_KEY, contracts.LABEL_KEY, contracts.ID_KEY}
    (image,), (label,), (key,) = (
        feature[contracts.IMAGE_KEY].bytes_list.value,
        feature[contracts.LABEL_KEY].int64_list.value,
        feature[contracts.ID_KEY].bytes_list.value,
    )
    return key.decode(), image, label


def read_examples(examples: standard_artifacts.Examples) -> dict[str, Photos]:
    """Reads the photos of every split, and checks that no key is there twice."""
    splits = {}
    for split in artifact_utils.decode_split_names(examples.split_names):
        files = tf.io.gfile.glob(f"{artifact_utils.get_split_uri([examples], split)}/data_tfrecord-*.gz")
        assert files
        records = tf.data.TFRecordDataset(files, compression_type="GZIP").as_numpy_iterator()
        parsed = [parse(record) for record in records]
        splits[split] = {key: (image, label) for key, image, label in parsed}
        assert len(splits[split]) == len(parsed)
    return splits


def read_listing(examples: standard_artifacts.Examples) -> list[QuarantineEntry]:
    lines = (Path(examples.uri) / LEFT_OUT_FILE).read_text().splitlines()
    return [from_json(QuarantineEntry, json.loads(line)) for line in lines]
