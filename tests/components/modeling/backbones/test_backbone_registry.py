import subprocess
import sys
from pathlib import Path

from components.modeling.backbones.cache import cache_dir
from components.modeling.backbones.registry import BACKBONES, find_backbone, resolve_handle


def test_names_and_handles_find_the_same_entry():
    for name, backbone in BACKBONES.items():
        assert backbone.name == name
        assert find_backbone(name) is find_backbone(backbone.handle) is backbone


def test_resolve_handle_leaves_urls_and_paths_alone():
    assert resolve_handle("mobilenet_v2") == "https://tfhub.dev/google/tf2-preview/mobilenet_v2/feature_vector/4"
    assert resolve_handle("https://example.com/m.tar.gz") == "https://example.com/m.tar.gz"
    assert resolve_handle("some/folder") == "some/folder"


def test_listing_and_locating_backbones_needs_no_tensorflow():
    code = (
        "import sys, components.modeling.backbones.registry, components.modeling.backbones.loading;"
        "sys.exit(bool({'tensorflow', 'tensorflow_hub', 'numpy'} & sys.modules.keys()))"
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
