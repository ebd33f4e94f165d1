import re
import subprocess
import sys
from pathlib import Path

import pytest

from components.common.errors import UserError
from components.modeling.backbones.cache import cache_dir
from components.modeling.backbones.registry import BACKBONES, find_backbone, kaggle_handle, resolve_handle

ROOT = Path(__file__).parents[4]


def test_names_and_handles_find_the_same_entry():
    for name, backbone in BACKBONES.items():
        assert backbone.name == name
        assert find_backbone(name) is find_backbone(backbone.handle) is backbone
        assert not backbone.kaggle or find_backbone(backbone.kaggle) is backbone


def test_resolve_handle_leaves_urls_and_paths_alone():
    assert resolve_handle("mobilenet_v2") == "https://tfhub.dev/google/tf2-preview/mobilenet_v2/feature_vector/4"
    assert resolve_handle("https://example.com/m.tar.gz") == "https://example.com/m.tar.gz"
    assert resolve_handle("some/folder") == "some/folder"


@pytest.mark.parametrize(
    ("address", "handle"),
    [
        ("google/bit/tensorFlow2/m-r50x1/1", "google/bit/tensorFlow2/m-r50x1/1"),
        ("google/bit/TensorFlow2/m-r50x1", "google/bit/tensorFlow2/m-r50x1"),
        ("https://www.kaggle.com/models/google/bit/tensorFlow2/m-r50x1/1/", "google/bit/tensorFlow2/m-r50x1/1"),
        (
            "https://www.kaggle.com/models/google/bit/frameworks/tensorFlow2/variations/m-r50x1/versions/1?tfhub-redirect=true",
            "google/bit/tensorFlow2/m-r50x1/1",
        ),
        ("google/bit/tensorFlow1/m-r50x1/1", None),
        ("../bit/tensorFlow2/m-r50x1", None),
        ("google/bit/tensorFlow2/../1", None),
        ("https://example.com/models/google/bit/tensorFlow2/m-r50x1/1", None),
        ("gs://google/bit/tensorFlow2/m-r50x1/1", None),
        ("https://www.kaggle.com/models/google/bit", None),
        ("", None),
    ],
)
def test_kaggles_handles_and_addresses(address, handle):
    assert kaggle_handle(address) == handle


def test_listing_and_locating_backbones_needs_no_tensorflow():
    code = (
        "import sys, components.modeling.backbones.registry, components.modeling.backbones.loading;"
        "sys.exit(bool({'tensorflow', 'tensorflow_hub', 'numpy', 'kagglehub', 'requests'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_cache_dir_prefers_hubs_variable_then_xdg_then_home(monkeypatch):
    monkeypatch.setenv("TFHUB_CACHE_DIR", "/hub")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache_dir() == Path("/hub")
    monkeypatch.delenv("TFHUB_CACHE_DIR")
    assert cache_dir() == Path("/xdg/flowers-pipeline/backbones")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/me")
    assert cache_dir() == Path("/home/me/.cache/flowers-pipeline/backbones")


def test_every_embedded_backbone_names_its_package():
    for backbone in BACKBONES.values():
        assert bool(backbone.package) == backbone.embedded
        assert bool(backbone.source_sha256) >= backbone.embedded


def test_every_package_with_weights_is_asked_for_and_locked():
    asked = re.findall(r'"([\w-]+-pytorch-model==[\d.]+)"', (ROOT / "pyproject.toml").read_text())
    locks = "".join(file.read_text() for file in (ROOT / "environment").glob("requirements-*.txt"))
    assert sorted(pin.partition("==")[0] for pin in asked) == sorted(
        b.package for b in BACKBONES.values() if b.embedded
    )
    assert all(f"{pin} \\\n" in locks for pin in asked)


def test_only_embedded_backbones_bound_the_image_size():
    assert BACKBONES["efficientnet_lite2"].input_size(None) == (260, 260)
    assert BACKBONES["efficientnet_lite2"].input_size((128, 384)) == (128, 384)
    assert BACKBONES["bit_m_r50x1"].input_size((480, 480)) == (480, 480)
    with pytest.raises(
        UserError, match="efficientnet_lite2 takes images of 128 to 384 pixels a side, not 96x128: give"
    ):
        BACKBONES["efficientnet_lite2"].input_size((96, 128))
