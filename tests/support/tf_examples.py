"""Serialized tf.Examples as the pipeline's components write them, and files and artifacts of them."""

import hashlib
import json
import numbers
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf
from tfx.types import standard_artifacts

from components import contracts
from components.storage.shards import write_shard


def example(**features: bytes | int | Sequence[float]) -> bytes:
    """A serialized example of bytes, integers and lists of floats."""
    made = tf.train.Example()
    for name, value in features.items():
        feature = made.features.feature[name]
        if isinstance(value, bytes):
            feature.bytes_list.value.append(value)
        elif isinstance(value, numbers.Integral):
            feature.int64_list.value.append(value)
        else:
            feature.float_list.value.extend(value)
    return made.SerializeToString(deterministic=True)


def raw_example(image: bytes, label: int, example_id: bytes = b"x") -> bytes:
    return example(image=image, label=label, id=example_id)


def feature_example(
    vector: Sequence[float], label: int, image: bytes = b"", example_id: bytes = b"x", digest: str = "d1"
) -> bytes:
    photo_digest = hashlib.sha256(image).hexdigest().encode()
    return example(
        photo_digest=photo_digest, id=example_id, feature_vector=vector, label=label, backbone_digest=digest.encode()
    )


def write_split(records: Sequence[bytes], folder: Path) -> str:
    """Writes records as the pipeline does, and returns their pattern."""
    write_shard(str(folder / "data_tfrecord-00000-of-00001.gz"), records)
    return f"{folder}/*"


def examples_artifact(
    folder: Path, splits: Mapping[str, Sequence[bytes]], class_names: Sequence[str] = (), **properties: Any
) -> standard_artifacts.Examples:
    """Writes splits; other properties than strings are stored as JSON."""
    artifact = standard_artifacts.Examples()
    artifact.uri = str(folder)
    artifact.split_names = json.dumps(list(splits))
    properties[contracts.SPLIT_COUNTS_PROPERTY] = {split: len(records) for split, records in splits.items()}
    properties[contracts.CLASS_NAMES_PROPERTY] = list(class_names)
    for name, value in properties.items():
        artifact.set_string_custom_property(name, value if isinstance(value, str) else json.dumps(value))
    for split, records in splits.items():
        write_split(records, folder / f"Split-{split}")
    return artifact
