"""Counts the photos per split and class while they are written."""

import json
import os
from collections.abc import Iterable

import apache_beam as beam
import tensorflow as tf
from tfx.dsl.io import fileio

from components.common import contracts


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
