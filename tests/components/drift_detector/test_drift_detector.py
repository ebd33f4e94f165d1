"""Tests of DriftDetector on photo sets whose differences are known."""

import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tfx import types
from tfx.types import standard_artifacts

from components import contracts
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


def _write(folder: Path, rows: Sequence[tf.train.Example], classes: Sequence[str]) -> types.Artifact:
    """Writes examples as splits train (first half) and test."""
    artifact = standard_artifacts.Examples()
    artifact.uri = str(folder)
    parts = {"train": rows[: len(rows) // 2], "test": rows[len(rows) // 2 :]}
    artifact.split_names = json.dumps(list(parts))
    counts = {
        split: {name: sum(_label(row) == index for row in part) for index, name in enumerate(classes)}
        for split, part in parts.items()
    }
    for name, value in (
        (contracts.CLASS_NAMES_PROPERTY, list(classes)),
        (contracts.SPLIT_COUNTS_PROPERTY, {split: len(part) for split, part in parts.items()}),
        (contracts.CLASS_COUNTS_PROPERTY, counts),
        (contracts.IMAGE_SIZE_PROPERTY, [224, 224]),
    ):
        artifact.set_string_custom_property(name, json.dumps(value))
    artifact.set_string_custom_property(contracts.BACKBONE_DIGEST_PROPERTY, "backbone")
    for split, part in parts.items():
        (folder / f"Split-{split}").mkdir(parents=True)
        path = str(folder / f"Split-{split}" / "data_tfrecord-00000-of-00001.gz")
        with tf.io.TFRecordWriter(path, tf.io.TFRecordOptions(compression_type="GZIP")) as writer:
            for row in part:
                writer.write(row.SerializeToString())
    return artifact


def _label(example: tf.train.Example) -> int:
    return int(example.features.feature[contracts.LABEL_KEY].int64_list.value[0])


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
        self.classes = classes
        labels = random.permutation(np.repeat(np.arange(len(counts)), counts))
        self.photos, self.features = [], []
        image = _jpeg(size)
        for label in labels:
            vector = random.normal(2 + 2 * np.eye(len(counts), features)[label], 0.5)
            vector[-1] += shift[label]
            for target, key in ((self.photos, contracts.IMAGE_KEY), (self.features, contracts.FEATURE_VECTOR_KEY)):
                feature = (example := tf.train.Example()).features.feature
                feature[contracts.LABEL_KEY].int64_list.value.append(label)
                if key == contracts.IMAGE_KEY:
                    feature[key].bytes_list.value.append(image)
                else:
                    feature[key].float_list.value.extend(vector)
                target.append(example)

    def artifacts(self, folder: Path) -> dict[str, list[types.Artifact]]:
        return {
            "examples": [_write(folder / "examples", self.photos, self.classes)],
            "features": [_write(folder / "features", self.features, self.classes)],
        }


def _detect(
    folder: Path, photos: _Photos, baseline: types.Artifact | None = None, key: str = "baseline_drift"
) -> tuple[types.Artifact, DriftReport]:
    drift = Drift()
    drift.uri = str(folder / "drift")
    executor = DriftDetector.EXECUTOR_SPEC.executor_class()
    executor.Do({**photos.artifacts(folder), key: [baseline] if baseline else []}, {"drift": [drift]}, {})
    return drift, from_json(DriftReport, json.loads((folder / "drift" / DRIFT_FILE).read_text()))


@pytest.fixture
def baseline(tmp_path: Path) -> types.Artifact:
    return _detect(tmp_path / "before", _Photos(0))[0]


def _moved(report: DriftReport) -> list[str]:
    return [shift.what for shift in report.shifts if shift.moved]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_other_photos_of_the_same_kind_have_not_moved(tmp_path: Path, baseline: types.Artifact, seed: int) -> None:
    _, report = _detect(tmp_path / "now", _Photos(seed), baseline)
    assert _moved(report) == []
    assert report.summary == (
        "Drift: none in labels, longer sides, shorter sides, features, "
        "compared with the latest blessed model's 180 photos"
    )


def test_the_same_photos_have_not_moved(tmp_path: Path, baseline: types.Artifact) -> None:
    _, report = _detect(tmp_path / "now", _Photos(0), baseline)
    assert _moved(report) == []
    # What one sample teaches of a photo is not asked of the same photo in the other one.
    assert [entry.auc for entry in report.classes] == pytest.approx([0.5, 0.5, 0.5], abs=0.05)


def test_a_class_that_has_doubled_moves_labels_alone(tmp_path: Path, baseline: types.Artifact) -> None:
    _, report = _detect(tmp_path / "now", _Photos(1, (60, 120, 60)), baseline)
    assert _moved(report) == ["labels"]
    assert report.summary == (
        "Drift: found in labels (roses 33.3% before, 50.0% now), compared with the latest blessed model's 180 photos"
    )


def test_photos_that_look_different_move_features(tmp_path: Path, baseline: types.Artifact) -> None:
    _, report = _detect(tmp_path / "now", _Photos(1, shift=(0.7, 0.7, 0.7)), baseline)
    assert _moved(report) == ["features"]
    assert "features (of all classes, AUC 0." in report.summary


def test_a_class_of_other_photos_is_named(tmp_path: Path, baseline: types.Artifact) -> None:
    _, report = _detect(tmp_path / "now", _Photos(1, shift=(0, 0, 2)), baseline)
    assert _moved(report) == ["features"]
    assert "features (of tulips, AUC 0.9" in report.summary
    by_class = {entry.name: entry.auc for entry in report.classes}
    assert max(by_class, key=lambda name: by_class[name] or 0) == "tulips"


def test_a_new_class_moves_labels_and_others_are_compared_by_name(tmp_path: Path, baseline: types.Artifact) -> None:
    """Labels are other numbers now: the new class comes first."""
    photos = _Photos(1, (60, 60, 60, 60), classes=("asters", *CLASSES), shift=[0] * 4)
    _, report = _detect(tmp_path / "now", photos, baseline)
    assert "labels (asters 0.0% before, 25.0% now)" in report.summary
    assert {entry.name: entry.auc is None for entry in report.classes} == {
        "asters": True, "daisy": False, "roses": False, "tulips": False,
    }  # fmt: skip


def test_larger_photos_move_sizes(tmp_path: Path, baseline: types.Artifact) -> None:
    _, report = _detect(tmp_path / "now", _Photos(1, size=(40, 10)), baseline)
    assert _moved(report) == ["longer sides"]
    assert "longer sides (median 20 before, 40 now)" in report.summary


def test_a_photo_that_is_turned_is_no_other_size(tmp_path: Path, baseline: types.Artifact) -> None:
    _, report = _detect(tmp_path / "now", _Photos(1, size=(10, 20)), baseline)
    assert _moved(report) == []


def test_features_of_another_backbone_are_not_compared(tmp_path: Path, baseline: types.Artifact) -> None:
    _, report = _detect(tmp_path / "now", _Photos(1, (60, 120, 60), features=8), baseline)
    assert _moved(report) == ["labels"]
    assert report.summary.endswith("; features are not compared: they come from another backbone or image size")


def test_without_a_baseline_the_sample_is_kept_for_later(tmp_path: Path) -> None:
    drift, report = _detect(tmp_path / "now", _Photos(1))
    assert report.summary == "Drift: skipped (no earlier blessed model)"
    sample = PhotoSample.read(f"{drift.uri}/{SAMPLE_FILE}")
    assert sample.class_counts == dict.fromkeys(CLASSES, 60)
    assert sample.features.shape == (180, FEATURES)


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04nothing"])
def test_a_sample_that_is_gone_or_damaged_stops_no_run(
    tmp_path: Path, baseline: types.Artifact, content: bytes | None
) -> None:
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
    _, report = _detect(tmp_path / "now", _Photos(1, (60, 120, 60)), model, "baseline_model")
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
