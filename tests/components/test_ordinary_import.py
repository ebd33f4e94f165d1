"""Whoever imports the components, as in a notebook, gets ordinary Python."""

import subprocess
import sys


def test_importing_a_component_changes_neither_imports_nor_garbage_collection() -> None:
    code = """
import gc, sys
before = list(sys.meta_path)
import components
own = [finder for finder in sys.meta_path if finder not in before]
import components.feature_extractor.component
own += [finder for finder in sys.meta_path if type(finder).__module__.startswith("components")]
print(own, gc.isenabled(), gc.get_freeze_count())
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["[]", "True", "0"]
