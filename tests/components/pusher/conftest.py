from pathlib import Path

import pytest
from pushes import ServingFolder


@pytest.fixture
def serving(tmp_path: Path) -> ServingFolder:
    return ServingFolder(tmp_path, tmp_path / "serving")
