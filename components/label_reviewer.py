"""LabelReviewer, which lists photos whose label contradicts their features: cross-validation and confident learning."""

import dataclasses
import itertools
import json
import logging
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
import tensorflow as tf
from cleanlab.filter import find_label_issues
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from tfx import types
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.dsl.io import fileio
from tfx.types import standard_artifacts

from components import contracts
from components.contracts.artifact_types import LabelReview
from components.contracts.label_review import LISTING_FILE, SUMMARY_FILE, DoubtfulLabel, LabelReviewSummary
from components.modeling.input_pipeline import feature_metadata, read_serialized
from components.storage.examples_io import class_names_of, split_uris, splits_of

logger = logging.getLogger(__name__)

# Also the fewest photos that a class needs to be reviewed.
FOLDS: Final = 5
# Of the features: enough to tell classes apart, and all later steps take a tenth of the time.
_COMPONENTS: Final = 128
_SEED: Final = 0
_PARSED_AT_ONCE: Final = 256
# In float32: what is read, one array of it, square roots and their inputs, and the roots without their mean.
_BYTES_PER_NUMBER: Final = 6 * 4


@component
def LabelReviewer(
    features: InputArtifact[standard_artifacts.Examples],
    memory: Parameter[int],
    label_review: OutputArtifact[LabelReview],
) -> None:
    """Lists doubtful labels of all splits; photos whose features exceed `memory` bytes are reviewed in groups."""
    class_names = class_names_of(features)
    found: list[tuple[float, DoubtfulLabel]] = []
    photos: Counter[str] = Counter()
    correct = 0
    for group in _read_groups(features, memory):
        reviewed, probabilities, doubtful = review_labels(group.features, group.labels, len(class_names))
        photos.update(group.splits[index] for index in reviewed)
        correct += int(np.sum(probabilities.argmax(axis=1) == group.labels[reviewed]))
        found += [_doubtful_label(group, reviewed[at], probabilities[at], class_names) for at in doubtful]
    listing = [entry for _, entry in sorted(found, key=lambda entry: (entry[0], entry[1].split, entry[1].id))]
    counts = Counter(entry.split for entry in listing)
    splits = splits_of(features)
    summary = LabelReviewSummary(
        photos={split: photos[split] for split in splits},
        doubtful={split: counts[split] for split in splits},
        accuracy=correct / photos.total() if photos else 0.0,
    )
    fileio.makedirs(label_review.uri)
    with fileio.open(f"{label_review.uri}/{LISTING_FILE}", "w") as file:
        file.write("".join(json.dumps(dataclasses.asdict(entry), ensure_ascii=False) + "\n" for entry in listing))
    with fileio.open(f"{label_review.uri}/{SUMMARY_FILE}", "w") as file:
        file.write(json.dumps(dataclasses.asdict(summary), indent=2, ensure_ascii=False) + "\n")
    logger.info("Doubtful labels: %d of %d", summary.num_doubtful, photos.total())


class Review(NamedTuple):
    """What cross-validation finds about the labels of some photos."""

    reviewed: np.ndarray  # int64 [N]: indices of the photos whose class has enough of them
    probabilities: np.ndarray  # float64 [N, C]: of those photos, by classifiers that were not fitted to them
    doubtful: np.ndarray  # int64 [M]: positions in `reviewed` of doubtful labels, the most doubtful first


def review_labels(features: np.ndarray, labels: np.ndarray, num_classes: int) -> Review:
    """Reviews labels int64 [P], from 0 to `num_classes` - 1, of features float32 [P, D].

    Every photo is classified by a linear discriminant analysis (covariance shrunk as by Ledoit and Wolf, 2004) of the
    other folds' principal components; square roots make features that come from a ReLU less skewed. Confident learning
    (Northcutt, Jiang and Chuang 2021, https://arxiv.org/abs/1911.00068), in cleanlab's implementation, then tells
    which labels are doubtful. The review is empty unless two classes have at least 5 photos.
    """
    enough = np.flatnonzero(np.bincount(labels, minlength=num_classes) >= FOLDS)
    reviewed = np.flatnonzero(np.isin(labels, enough))
    if len(enough) < 2:  # noqa: PLR2004
        return Review(reviewed[:0], np.zeros((0, num_classes)), reviewed[:0])
    given = np.searchsorted(enough, labels[reviewed])
    rooted = np.sign(features[reviewed]) * np.sqrt(np.abs(features[reviewed]))
    components = min(_COMPONENTS, *rooted.shape)
    reduced = PCA(components, svd_solver="randomized", random_state=_SEED).fit_transform(rooted)
    classifier = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=_SEED)
    predicted = cross_val_predict(classifier, reduced, given, cv=folds, method="predict_proba")
    doubtful = find_label_issues(
        given, predicted, return_indices_ranked_by="normalized_margin", filter_by="both", n_jobs=1
    )
    probabilities = np.zeros((len(reviewed), num_classes))
    probabilities[:, enough] = predicted
    return Review(reviewed, probabilities, np.asarray(doubtful, np.int64))


class _Photos(NamedTuple):
    """Photos that are reviewed together."""

    splits: Sequence[str]
    ids: Sequence[str]
    labels: np.ndarray
    features: np.ndarray


def _doubtful_label(
    group: _Photos, index: int, probabilities: np.ndarray, class_names: list[str]
) -> tuple[float, DoubtfulLabel]:
    """Returns the lead of the given label, which the listing is sorted by, and the entry."""
    label = int(group.labels[index])
    suggested = int(np.argmax(np.where(np.arange(len(class_names)) == label, -1, probabilities)))
    own, other = float(probabilities[label]), float(probabilities[suggested])
    entry = DoubtfulLabel(group.ids[index], group.splits[index], class_names[label], class_names[suggested], own, other)
    return own - other, entry


def _read_groups(examples: types.Artifact, memory: int) -> Iterator[_Photos]:
    """Yields all photos in groups of equal size; files are ordered by a hash, so each group is a random sample."""
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
            columns = (batch[key].numpy() for key in spec)
            for vector, label, example_id in zip(*columns, strict=True):
                yield split, example_id.decode("utf-8", "backslashreplace"), label, vector
