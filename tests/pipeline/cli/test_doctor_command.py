"""Tests of `doctor`: what it finds, and what it makes of a broken environment."""

import importlib.metadata
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from pipeline.cli import doctor
from pipeline.cli.main import cli


def _doctor(output: Path, *options: str) -> tuple[int, dict[str, Any]]:
    result = CliRunner().invoke(cli, ["doctor", "--json", "--output", str(output), *options])
    return result.exit_code, {finding["check"]: finding for finding in json.loads(result.stdout)}


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_HOSTS", {"host.invalid": "something: do without it"})


def test_a_working_machine_passes_although_a_host_is_out_of_reach(tmp_path: Path) -> None:
    status, findings = _doctor(tmp_path / "not made yet")
    assert status == 0
    assert findings["tensorflow"]["found"] == importlib.metadata.version("tensorflow")
    assert "Keras 2" in findings["imports and Keras mode"]["found"]
    assert (findings["host.invalid"]["status"], findings["host.invalid"]["fix"][:5]) == ("warning", "check")
    assert not (tmp_path / "not made yet").exists()


def test_keras_3_is_broken_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_USE_LEGACY_KERAS", "0")
    # Keras's mode does not depend on the other libraries, which take half a minute to import.
    lines = doctor._IMPORTS.replace("tfx.components, ", "").replace("tensorflow_datasets, ", "")
    monkeypatch.setattr(doctor, "_IMPORTS", lines.replace("ml_metadata, apache_beam", "ml_metadata"))
    status, findings = _doctor(tmp_path)
    assert status == 1
    finding = findings["imports and Keras mode"]
    assert (finding["status"], finding["fix"]) == ("broken", "unset TF_USE_LEGACY_KERAS")


def test_a_missing_package_is_broken_only_if_it_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_PACKAGES", ("no-such-package",))
    assert _doctor(tmp_path, "--quick")[0] == 1
    monkeypatch.setattr(doctor, "_OPTIONAL_PACKAGES", ("no-such-package",))
    status, findings = _doctor(tmp_path, "--quick")
    assert (status, findings["no-such-package"]["status"]) == (0, "warning")


def test_a_cached_backbone_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path))
    (tmp_path / "efficientnet_lite0-0123456789abcdef").mkdir()
    _, findings = _doctor(tmp_path, "--quick")
    assert "0123456789abcdef" in findings["backbone efficientnet_lite0"]["found"]
    assert "not cached" in findings["backbone inception_v3"]["found"]


def test_a_download_from_kaggle_is_found_when_it_is_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path))
    folder = tmp_path / "models/google/inception-v3/tensorFlow2/tf2-preview-feature-vector/4"
    folder.mkdir(parents=True)
    assert "not cached" in _doctor(tmp_path, "--quick")[1]["backbone inception_v3"]["found"]
    Path(f"{folder}.complete").touch()
    assert str(folder) in _doctor(tmp_path, "--quick")[1]["backbone inception_v3"]["found"]


def test_weights_that_are_not_installed_are_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(doctor, "weights_file", lambda _: None)
    status, findings = _doctor(tmp_path, "--quick")
    finding = findings["backbone efficientnet_lite1"]
    assert (status, finding["status"]) == (0, "warning")
    assert finding["fix"].startswith("make backbones")
