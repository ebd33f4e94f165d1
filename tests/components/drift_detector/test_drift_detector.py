"""Tests of DriftDetector on photo sets whose differences are known."""

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tf_examples import example, examples_artifact
from tfx import types
from tfx.types import standard_artifacts

from components.common.records import from_json
from components.contracts.artifact_types import Drift
from components.contracts.drift import DRIFT_FILE, SAMPLE_FILE, SIGNIFICANCE, DriftReport
from components.contracts.serving_folder import BASELINE_VERSION_PROPERTY, NO_VERSION
from components.drift_detector import photo_sample
from components.drift_detector.comparison import Sample, compare_features
from components.drift_detector.component import DriftDetector
from components.drift_detector.photo_sample import PhotoSample

CLASSES = ("daisy", "roses", "tulips")
FEATURES = 12


def _jpeg(size: tuple[int, int]) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size).save(file, "JPEG")
    return file.getvalue()


class _Photos:
    """A photo set: features around their class's place, drawn anew for every seed."""

    def __init__(
        self,
        seed: int,
        counts: Sequence[int] = (60, 60, 60),
        *,
        shift: Sequence[float] = (0, 0, 0),
        size: tuple[int, int] = (20, 10),
        classes: Sequence[str] = CLASSES,
        features: int = FEATURES,
    ):
        random = np.random.default_rng(seed)
        self._classes = classes
        self._labels = random.permutation(np.repeat(np.arange(len(counts)), counts))
        image = _jpeg(size)
        self._photos, self._features = [], []
        for label in self._labels:
            vector = random.normal(2 + 2 * np.eye(len(counts), features)[label], 0.5)
            vector[-1] += shift[label]
            self._photos.append(example(image=image, label=label))
            self._features.append(example(feature_vector=vector, label=label))

    def artifacts(self, folder: Path) -> dict[str, list[types.Artifact]]:
        return {
            "examples": [self._artifact(folder / "examples", self._photos)],
            "features": [self._artifact(folder / "features", self._features)],
        }

    def _artifact(self, folder: Path, records: Sequence[bytes]) -> types.Artifact:
        """Splits train (first half) and test."""
        half = len(records) // 2
        labels = {"train": self._labels[:half], "test": self._labels[half:]}
        counts = {
            split: {name: int(np.sum(part == index)) for index, name in enumerate(self._classes)}
            for split, part in labels.items()
        }
        splits = {"train": records[:half], "test": records[half:]}
        properties = {"class_counts": counts, "image_size": [224, 224], "backbone_digest": "backbone"}
        return examples_artifact(folder, splits, self._classes, **properties)


def _detect(
    folder: Path, photos: _Photos, baseline: types.Artifact | None = None, key: str = "baseline_drift"
) -> tuple[types.Artifact, DriftReport]:
    drift = Drift()
    drift.uri = str(folder / "drift")
    executor = DriftDetector.EXECUTOR_SPEC.executor_class()
    executor.Do({**photos.artifacts(folder), key: [baseline] if baseline else []}, {"drift": [drift]}, {})
    return drift, from_json(DriftReport, json.loads((folder / "drift" / DRIFT_FILE).read_text()))


@pytest.fixture(scope="module")
def baseline(tmp_path_factory: pytest.TempPathFactory) -> types.Artifact:
    return _detect(tmp_path_factory.mktemp("before"), _Photos(0))[0]


def _moved(report: DriftReport) -> list[str]:
    return [shift.what for shift in report.shifts if shift.moved]


_NONE = (
    "Drift: none in labels, longer sides, shorter sides, features, compared with the latest blessed model's 180 photos"
)
_DOUBLED = {"seed": 1, "counts": (60, 120, 60)}


@pytest.mark.parametrize(
    ("photos", "moved", "words"),
    [
        *(({"seed": seed}, [], _NONE) for seed in (1, 2, 3)),
        ({"seed": 1, "size": (10, 20)}, [], _NONE),  # turned
        (
            _DOUBLED,
            ["labels"],
            "found in labels (roses 33.3% before, 50.0% now), compared with the latest blessed model's 180 photos",
        ),
        ({"seed": 1, "shift": (0.7, 0.7, 0.7)}, ["features"], "features (of all classes, AUC 0."),
        ({"seed": 1, "shift": (0, 0, 2)}, ["features"], "features (of tulips, AUC 0.9"),
        ({"seed": 1, "size": (40, 10)}, ["longer sides"], "longer sides (median 20 before, 40 now)"),
        (
            {**_DOUBLED, "features": 8},
            ["labels"],
            "; features are not compared: they come from another backbone or image size",
        ),
    ],
)
def test_what_has_moved_is_named(
    tmp_path: Path, baseline: types.Artifact, photos: dict[str, Any], moved: list[str], words: str
) -> None:
    _, report = _detect(tmp_path, _Photos(**photos), baseline)
    assert _moved(report) == moved
    assert words in report.summary


def test_the_same_photos_have_not_moved(tmp_path: Path, baseline: types.Artifact) -> None:
    _, report = _detect(tmp_path, _Photos(0), baseline)
    assert _moved(report) == []
    # What one sample teaches of a photo is not asked of the same photo in the other one.
    assert [entry.auc for entry in report.classes] == pytest.approx([0.5, 0.5, 0.5], abs=0.05)


def test_a_new_class_moves_labels_and_others_are_compared_by_name(tmp_path: Path, baseline: types.Artifact) -> None:
    """Labels are other numbers now: the new class comes first."""
    photos = _Photos(1, (60, 60, 60, 60), classes=("asters", *CLASSES), shift=[0] * 4)
    _, report = _detect(tmp_path / "now", photos, baseline)
    assert "labels (asters 0.0% before, 25.0% now)" in report.summary
    assert {entry.name: entry.auc is None for entry in report.classes} == {
        "asters": True, "daisy": False, "roses": False, "tulips": False,
    }  # fmt: skip


def test_without_a_baseline_the_sample_is_kept_for_later(tmp_path: Path) -> None:
    drift, report = _detect(tmp_path / "now", _Photos(1))
    assert report.summary == "Drift: skipped (no earlier blessed model)"
    sample = PhotoSample.read(f"{drift.uri}/{SAMPLE_FILE}")
    assert sample.class_counts == dict.fromkeys(CLASSES, 60)
    assert sample.features.shape == (180, FEATURES)


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04nothing"])
def test_a_sample_that_is_gone_or_damaged_stops_no_run(tmp_path: Path, content: bytes | None) -> None:
    baseline, _ = _detect(tmp_path / "before", _Photos(0))
    path = Path(baseline.uri) / SAMPLE_FILE
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    _, report = _detect(tmp_path / "now", _Photos(1), baseline)
    assert report.shifts == []
    expected = "has no sample" if content is None else "cannot be read: "
    assert expected in report.summary
    assert "\n" not in report.summary


def test_a_model_of_a_serving_folder_brings_its_sample(tmp_path: Path, baseline: types.Artifact) -> None:
    model = standard_artifacts.Model()
    model.uri = baseline.uri
    _, report = _detect(tmp_path / "now", _Photos(**_DOUBLED), model, "baseline_model")
    assert _moved(report) == ["labels"]


def test_before_the_first_push_there_is_nothing_to_compare_with(tmp_path: Path) -> None:
    model = standard_artifacts.Model()
    model.uri = str(tmp_path / "empty")
    model.set_string_custom_property(BASELINE_VERSION_PROPERTY, NO_VERSION)
    _, report = _detect(tmp_path / "now", _Photos(1), model, "baseline_model")
    assert report.summary == "Drift: skipped (no earlier blessed model)"


def test_a_large_set_is_sampled_from_every_split(
    tmp_path: Path, baseline: types.Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(photo_sample, "MAX_PHOTOS", 50)
    drift, report = _detect(tmp_path / "now", _Photos(1), baseline)
    sample = PhotoSample.read(f"{drift.uri}/{SAMPLE_FILE}")
    assert (len(sample.features), len(sample.sizes)) == (50, 50)
    # Labels are counted, not sampled.
    assert report.photos == sample.total == 180
    assert _moved(report) == []


def test_like_and_like_are_told_apart_as_seldom_as_chance_has_it() -> None:
    random = np.random.default_rng(0)
    samples = [Sample(random.normal(size=(60, FEATURES)), np.arange(60) % 3) for _ in range(120)]
    found = [compare_features(*pair) for pair in zip(samples[::2], samples[1::2], strict=True)]
    p_values = np.array([shift.p_value for shift in found if shift])
    assert len(p_values) == 60
    # Three standard deviations.
    assert np.mean(p_values <= 0.2) == pytest.approx(0.2, abs=0.16)
    assert np.mean(p_values <= SIGNIFICANCE) <= 0.05


def test_a_photo_that_is_there_a_hundred_times_is_one_photo() -> None:
    random = np.random.default_rng(0)
    first, second = (Sample(random.normal(size=(60, FEATURES)), np.arange(60) % 3) for _ in range(2))
    repeated = Sample(*(np.concatenate([column, np.repeat(column[:1], 100, axis=0)]) for column in second))
    assert compare_features(first, repeated) == compare_features(first, second)
