"""What an Evaluator makes of a baseline artifact that holds no model."""

import pytest
from tfx.types import standard_artifacts

from components.evaluator.missing_baseline import without_missing_baseline


def _baseline(version: str) -> standard_artifacts.Model:
    model = standard_artifacts.Model()
    if version:
        model.set_string_custom_property("baseline_version", version)
    return model


def test_a_baseline_that_is_none_is_left_out_and_the_log_says_so(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    inputs = {"model": [standard_artifacts.Model()], "baseline_model": [_baseline("none")]}
    assert without_missing_baseline(inputs) == {"model": inputs["model"], "baseline_model": []}
    assert "there is no baseline" in caplog.text


@pytest.mark.parametrize("version", ["", "1700000000"])
def test_a_model_stays_whether_it_tells_its_version_or_not(version: str, caplog: pytest.LogCaptureFixture) -> None:
    inputs = {"baseline_model": [_baseline(version)]}
    assert without_missing_baseline(inputs) == inputs
    assert caplog.text == ""


def test_without_the_input_nothing_is_said(caplog: pytest.LogCaptureFixture) -> None:
    assert without_missing_baseline({"model": []}) == {"model": []}
    assert caplog.text == ""
