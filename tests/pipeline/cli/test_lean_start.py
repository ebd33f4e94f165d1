"""What a run imports, seen from a fresh interpreter."""

import subprocess
import sys

_CODE = """
import gc, sys
from pipeline.cli.lean_start import skip_tfx_components_init, uncollected_imports
with uncollected_imports():
    skip_tfx_components_init()
    import pipeline.local_run.runner
from tfx.components.evaluator.component import Evaluator
print([name for name in ("kubernetes", "keras_tuner", "tfx.components.infra_validator") if name in sys.modules])
print(Evaluator.__name__, gc.isenabled(), gc.get_freeze_count() > 0)
"""


def test_a_run_imports_no_component_that_it_lacks() -> None:
    result = subprocess.run([sys.executable, "-c", _CODE], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines() == ["[]", "Evaluator True True"]
