"""Serialized tf.Examples as the pipeline's components write them, and files of them."""

import hashlib
from pathlib import Path

import tensorflow as tf


def raw_example(image: bytes, label: int, example_id: bytes = b"x") -> bytes:
    example = tf.train.Example()
    example.features.feature["image"].bytes_list.value.append(image)
    example.features.feature["label"].int64_list.value.append(label)
    example.features.feature["id"].bytes_list.value.append(example_id)
    return example.SerializeToString(deterministic=True)


def feature_example(
    vector: list[float], label: int, image: bytes, example_id: bytes = b"x", digest: str = "d1"
) -> bytes:
    example = tf.train.Example()
    example.features.feature["photo_digest"].bytes_list.value.append(hashlib.sha256(image).hexdigest().encode())
    example.features.feature["id"].bytes_list.value.append(example_id)
    example.features.feature["feature_vector"].float_list.value.extend(vector)
    example.features.feature["label"].int64_list.value.append(label)
    example.features.feature["backbone_digest"].bytes_list.value.append(digest.encode())
    return example.SerializeToString(deterministic=True)


def write_split(records: list[bytes], folder: Path) -> str:
    """Writes records as the pipeline does, and returns their pattern."""
    folder.mkdir(parents=True)
    options = tf.io.TFRecordOptions(compression_type="GZIP")
    with tf.io.TFRecordWriter(str(folder / "data_tfrecord-00000-of-00001.gz"), options) as writer:
        for record in records:
            writer.write(record)
    return f"{folder}/*"
