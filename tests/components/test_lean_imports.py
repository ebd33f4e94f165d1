"""What a run imports, seen from a fresh interpreter."""

import subprocess
import sys

_HEAVY = ("kubernetes", "keras_tuner", "keras", "tfx.components.infra_validator", "google.cloud.aiplatform")


def _run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_a_run_does_not_import_components_it_does_not_use() -> None:
    loaded = _run(f"import sys, pipeline.local; print([name for name in {_HEAVY} if name in sys.modules])")
    assert loaded.splitlines()[-1] == "[]"


def test_tfx_components_is_complete_when_asked_for() -> None:
    code = "import components, tfx.components as c; print(c.Trainer.__name__, all(hasattr(c, n) for n in c.__all__))"
    assert _run(f"import components; from tfx.components import InfraValidator; {code}").split() == ["Trainer", "True"]


def test_help_imports_neither_tensorflow_nor_tfx() -> None:
    code = """
import sys
from pipeline.cli import main
try:
    main(["--help"])
except SystemExit:
    pass
print([name for name in ("tensorflow", "tfx", "apache_beam", "numpy") if name in sys.modules])
"""
    assert _run(code).splitlines()[-1] == "[]"
