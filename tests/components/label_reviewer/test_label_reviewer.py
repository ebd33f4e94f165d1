"""Tests of LabelReviewer on made features whose wrong labels are known."""

import json
from pathlib import Path

import numpy as np
import pytest
from tf_examples import examples_artifact, feature_example
from tfx import types

from components.common.records import from_json
from components.contracts.artifact_types import LabelReview
from components.contracts.label_review import LISTING_FILE, SUMMARY_FILE, DoubtfulLabel, LabelReviewSummary
from components.label_reviewer import LabelReviewer

CLASSES = ["daisy", "roses", "tulips"]
FEATURES = 12
WRONG = {"train": {3, 40, 77}, "validation": {5}, "test": {11, 12}}
PHOTOS = {"train": 120, "validation": 45, "test": 45}


def _examples(folder: Path, labels: dict[str, list[int]]) -> types.Artifact:
    """Writes features around their true class's place, photo i being of class i % 3."""
    random = np.random.default_rng(0)

    def record(split: str, index: int, label: int) -> bytes:
        vector = np.maximum(random.normal(1, 0.3, FEATURES) + 2 * np.eye(3, FEATURES)[index % 3], 0)
        return feature_example(vector, label, example_id=f"{split}/{index}.jpg".encode())

    splits = {split: [record(split, *entry) for entry in enumerate(given)] for split, given in labels.items()}
    return examples_artifact(folder, splits, CLASSES)


def _review(
    tmp_path: Path, examples: types.Artifact, memory: int = 10**9
) -> tuple[list[DoubtfulLabel], LabelReviewSummary]:
    review = LabelReview()
    review.uri = str(tmp_path / "review")
    LabelReviewer.test_call(features=examples, memory=memory, label_review=review)
    lines = (tmp_path / "review" / LISTING_FILE).read_text().splitlines()
    summary = json.loads((tmp_path / "review" / SUMMARY_FILE).read_text())
    return [DoubtfulLabel(**json.loads(line)) for line in lines], from_json(LabelReviewSummary, summary)


def _given_labels() -> dict[str, list[int]]:
    return {split: [(index + (index in WRONG[split])) % 3 for index in range(count)] for split, count in PHOTOS.items()}


# 100 photos' worth: the 210 are reviewed in three groups.
@pytest.mark.parametrize("memory", [10**9, 100 * 24 * FEATURES])
def test_wrong_labels_of_every_split_are_listed_with_the_right_ones(tmp_path: Path, memory: int) -> None:
    listing, summary = _review(tmp_path, _examples(tmp_path / "features", _given_labels()), memory)
    expected = {
        f"{split}/{index}.jpg": (CLASSES[(index + 1) % 3], CLASSES[index % 3])
        for split, wrong in WRONG.items()
        for index in wrong
    }
    assert {entry.id: (entry.label, entry.suggested_label) for entry in listing} == expected
    assert all(entry.split == entry.id.split("/")[0] for entry in listing)
    leads = [entry.label_probability - entry.suggested_probability for entry in listing]
    assert leads == sorted(leads)
    assert leads[-1] < 0
    assert summary.photos == PHOTOS
    assert summary.doubtful == {split: len(wrong) for split, wrong in WRONG.items()}
    assert summary.accuracy == pytest.approx(1 - 6 / 210)


def test_a_class_of_too_few_photos_is_left_alone(tmp_path: Path) -> None:
    labels = {"train": [index % 2 for index in range(40)] + [2, 2, 2, 2]}
    _, summary = _review(tmp_path, _examples(tmp_path / "features", labels))
    assert summary.photos == {"train": 40}


def test_one_class_alone_cannot_be_reviewed(tmp_path: Path) -> None:
    listing, summary = _review(tmp_path, _examples(tmp_path / "features", {"train": [0] * 30 + [1] * 4}))
    assert (listing, summary.photos, summary.accuracy) == ([], {"train": 0}, 0.0)
