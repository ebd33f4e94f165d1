"""Counts the photos per split and class while they are written, and tells the counts."""

import json
import logging
import os
from collections.abc import Iterable, Mapping
from typing import Final

import apache_beam as beam
import tensorflow as tf
from tfx import types
from tfx.dsl.io import fileio

from components.common import contracts
from components.example_gen import builders

logger = logging.getLogger(__name__)

_MAX_NAMED: Final = 5


@beam.ptransform_fn
def WriteClassCounts(splits: dict[str, beam.PCollection], path: str) -> beam.PCollection:
    """Counts the labels of every split and writes one line of JSON: [[split, label, count], ...]."""
    labels = [
        examples | f"GetLabel[{split}]" >> beam.Map(_split_and_label, split) for split, examples in splits.items()
    ]
    return (
        labels
        | "FlattenSplits" >> beam.Flatten()
        | "CountLabels" >> beam.combiners.Count.PerElement()
        | "GatherCounts" >> beam.combiners.ToList()
        | "WriteCounts" >> beam.Map(_write_counts, path)
    )


def _write_counts(counts: Iterable[tuple[tuple[str, int], int]], path: str) -> None:
    fileio.makedirs(os.path.dirname(path))  # noqa: PTH120 (may be a remote URI)
    with fileio.open(path, "w") as counts_file:
        counts_file.write(json.dumps(sorted([*key, count] for key, count in counts)))


def _split_and_label(example: tf.train.Example, split: str) -> tuple[str, int]:
    return split, example.features.feature[contracts.LABEL_KEY].int64_list.value[0]


def describe_examples(examples: types.Artifact, description: builders.SourceDescription, counts_path: str) -> None:
    """Sets the custom properties of the Examples artifact from what was written, and reports the counts.

    Args:
        examples: The artifact.
        description: What is known of its source.
        counts_path: What `WriteClassCounts` wrote.
    """
    names = description.class_names
    class_counts = {split: dict.fromkeys(names, 0) for split in contracts.SPLITS}
    with fileio.open(counts_path) as counts_file:
        for split, label, count in json.loads(counts_file.read()):
            # TFDS marks unlabelled examples with -1; ExampleValidator reports labels outside the classes.
            name = names[label] if 0 <= label < len(names) else str(label)
            class_counts[split][name] = count
    split_counts = {split: sum(counts.values()) for split, counts in class_counts.items()}
    properties = {
        contracts.DATASET_NAME_PROPERTY: description.name,
        contracts.DATASET_VERSION_PROPERTY: description.version,
        contracts.CLASS_NAMES_PROPERTY: json.dumps(names),
        contracts.SPLIT_COUNTS_PROPERTY: json.dumps(split_counts),
        contracts.CLASS_COUNTS_PROPERTY: json.dumps(class_counts),
    }
    for key, value in properties.items():
        examples.set_string_custom_property(key, value)
    for split, counts in class_counts.items():
        shares = ", ".join(f"{name!r} {count}" for name, count in counts.items())
        logger.info("%s: %d photos (%s)", split, split_counts[split], shares)
    if line := _describe_missing(class_counts):
        logger.warning("%s", line)


def _describe_missing(class_counts: Mapping[str, Mapping[str, int]]) -> str:
    """Returns one line on the classes that are not in every split; empty when all are."""
    names = dict.fromkeys(name for counts in class_counts.values() for name in counts)
    lacking = {name: [split for split, counts in class_counts.items() if not counts.get(name)] for name in names}
    named = [f"{name!r} is not in {' and '.join(splits)}" for name, splits in lacking.items() if splits]
    more = f", and {len(named) - _MAX_NAMED:,} more classes" if len(named) > _MAX_NAMED else ""
    return f"Not every class is in every split: {', '.join(named[:_MAX_NAMED])}{more}" if named else ""
