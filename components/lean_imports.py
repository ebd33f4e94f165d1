"""Keeps `import tfx.components.NAME` from importing all of TFX's components.

Called by `components`, before anything imports TFX. The package `tfx.components` imports every component, and with
the unused ones Keras 3, KerasTuner and a Kubernetes client: a third of a run's start-up. TFX itself reaches into that
package for a constant, so it cannot be avoided by importing other modules.
"""

import importlib.abc
import importlib.machinery
import sys
import types
from collections.abc import Sequence
from typing import Any, Final

_PACKAGE: Final = "tfx.components"


class _LeanLoader(importlib.abc.Loader):
    """Leaves a package's `__init__` unexecuted until one of its classes is asked for."""

    def __init__(self, loader: importlib.abc.Loader):
        self._loader = loader

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: types.ModuleType) -> None:
        def load(name: str) -> Any:
            # Components are named in CamelCase; for anything else Python goes on to look for a submodule.
            if not name[0].isupper():
                raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")
            del module.__dict__["__getattr__"]
            self._loader.exec_module(module)
            return getattr(module, name)

        module.__dict__["__getattr__"] = load


class _LeanFinder(importlib.abc.MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != _PACKAGE:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _LeanLoader(spec.loader)
        return spec


def install() -> None:
    """Makes later imports lean; without effect where `tfx.components` is imported already."""
    if not any(isinstance(finder, _LeanFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _LeanFinder())
