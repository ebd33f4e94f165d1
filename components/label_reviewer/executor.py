"""Executor of LabelReviewer: features of all splits in, a listing of doubtful labels out."""

import dataclasses
import itertools
import json
import logging
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import tensorflow as tf
from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.dsl.io import fileio
from tfx.types import artifact_utils

from components import contracts
from components.contracts.label_review import (
    LISTING_FILE,
    SUMMARY_FILE,
    DoubtfulLabel,
    LabelReviewSummary,
)
from components.label_reviewer.doubtful_labels import review_labels
from components.modeling.input_pipeline import feature_metadata, read_serialized
from components.storage.examples_io import class_names_of, split_uris, splits_of

logger = logging.getLogger(__name__)

_PARSED_AT_ONCE: Final = 256
# In float32: what is read, one array of it, roots with what they are made of, and what is left without their mean.
_BYTES_PER_NUMBER: Final = 6 * 4


class _Photos(NamedTuple):
    """Photos that are reviewed together."""

    splits: Sequence[str]
    ids: Sequence[str]
    labels: np.ndarray
    features: np.ndarray


class Executor(base_executor.BaseExecutor):
    """Reviews the labels of every split, as many photos at a time as there is memory for."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        examples = artifact_utils.get_single_instance(input_dict["features"])
        review = artifact_utils.get_single_instance(output_dict["label_review"])
        class_names = class_names_of(examples)
        found: list[tuple[float, DoubtfulLabel]] = []
        photos: Counter[str] = Counter()
        right = 0
        for group in _read_groups(examples, exec_properties["memory"]):
            reviewed, probabilities, doubtful = review_labels(group.features, group.labels, len(class_names))
            photos.update(group.splits[index] for index in reviewed)
            right += int(np.sum(probabilities.argmax(axis=1) == group.labels[reviewed]))
            found += [_doubtful_label(group, reviewed[at], probabilities[at], class_names) for at in doubtful]
        found.sort(key=lambda entry: (entry[0], entry[1].split, entry[1].id))
        listing = [entry for _, entry in found]
        counts = Counter(entry.split for entry in listing)
        splits = splits_of(examples)
        summary = LabelReviewSummary(
            photos={split: photos[split] for split in splits},
            doubtful={split: counts[split] for split in splits},
            accuracy=right / photos.total() if photos else 0.0,
        )
        _write(review.uri, listing, summary)
        logger.info("%d of %d labels are doubtful", summary.num_doubtful, photos.total())


def _doubtful_label(
    group: _Photos, index: int, probabilities: np.ndarray, class_names: list[str]
) -> tuple[float, DoubtfulLabel]:
    """Returns an entry of the listing and, to sort by, by how much the given label leads."""
    label = int(group.labels[index])
    suggested = int(np.argmax(np.where(np.arange(len(class_names)) == label, -1, probabilities)))
    own, other = float(probabilities[label]), float(probabilities[suggested])
    entry = DoubtfulLabel(group.ids[index], group.splits[index], class_names[label], class_names[suggested], own, other)
    return own - other, entry


def _read_groups(examples: types.Artifact, memory: int) -> Iterator[_Photos]:
    """Yields all photos in groups of equal size; files are ordered by a hash, so each of them is a fair sample."""
    total = sum(json.loads(examples.get_string_custom_property(contracts.SPLIT_COUNTS_PROPERTY)).values())
    feature_size, _ = feature_metadata([f"{uri}/*.gz" for uri in split_uris(examples).values()])
    fitting = max(1, memory // (feature_size * _BYTES_PER_NUMBER))
    size = math.ceil(total / math.ceil(total / fitting))
    rows = _read_rows(examples, feature_size)
    while chunk := list(itertools.islice(rows, size)):
        splits, ids, labels, vectors = zip(*chunk, strict=True)
        yield _Photos(splits, ids, np.array(labels), np.stack(vectors))


def _read_rows(examples: types.Artifact, feature_size: int) -> Iterator[tuple[str, str, int, np.ndarray]]:
    """Yields split, id, label and feature vector of every photo."""
    spec = {
        contracts.FEATURE_VECTOR_KEY: tf.io.FixedLenFeature([feature_size], tf.float32),
        contracts.LABEL_KEY: tf.io.FixedLenFeature([], tf.int64),
        contracts.ID_KEY: tf.io.FixedLenFeature([], tf.string),
    }
    for split, uri in split_uris(examples).items():
        for serialized in read_serialized([f"{uri}/*.gz"]).batch(_PARSED_AT_ONCE):
            batch = tf.io.parse_example(serialized, spec)
            columns = (
                batch[key].numpy() for key in (contracts.ID_KEY, contracts.LABEL_KEY, contracts.FEATURE_VECTOR_KEY)
            )
            for example_id, label, vector in zip(*columns, strict=True):
                yield split, example_id.decode("utf-8", "backslashreplace"), label, vector


def _write(uri: str, listing: list[DoubtfulLabel], summary: LabelReviewSummary) -> None:
    lines = [json.dumps(dataclasses.asdict(entry), ensure_ascii=False) + "\n" for entry in listing]
    fileio.makedirs(uri)
    with fileio.open(f"{uri}/{LISTING_FILE}", "w") as file:
        file.write("".join(lines))
    with fileio.open(f"{uri}/{SUMMARY_FILE}", "w") as file:
        file.write(json.dumps(dataclasses.asdict(summary), indent=2, ensure_ascii=False) + "\n")
