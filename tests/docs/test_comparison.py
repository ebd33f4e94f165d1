"""The pipeline's side of `make bench`, on few photos: the comparison's own way to start it works."""

from pathlib import Path

import pytest
from pages import ROOT

from benchmarks.measuring.subjects import Subject, run_pipeline
from benchmarks.run import prepare_model, prepare_source


def test_the_pipeline_runs_with_a_backbone_of_any_size(
    small_photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    source, count = prepare_source(str(small_photos), num_photos=0)
    model, image_size = prepare_model("efficientnet_lite0")
    outcome = run_pipeline(Subject(source, count, model, image_size, 1, tmp_path), "pipeline")
    # Each photo once, and some of those of validation and test once more: as they are served.
    assert 1 < outcome.passes_per_photo < 2
    assert outcome.component_seconds["FeatureExtractor"] > 0
    assert outcome.cached == []
