"""Puts off importing what a run has no use for, until something does use it.

Those import every client, metric and notebook widget they could ever need, which is a third of a run's start-up.
"""

import importlib.abc
import importlib.machinery
import importlib.util
import sys
import threading
import types
from collections.abc import Sequence
from typing import Any, Final

# Only what an ordinary run never touches, and what nobody imports for its side effects alone, as tensorflow_io is for
# its file systems.
DEFERRED: Final = frozenset(
    {
        # All of TFX's components, with Keras 3, KerasTuner and a Kubernetes client: TFX looks up a constant in there.
        "tfx.components",
        # TFX's containers as components.
        "docker",
        # Beam's sources and sinks, and TensorFlow's cluster resolvers.
        "boto3",
        "google.cloud.bigquery",
        "google.cloud.bigquery_storage_v1",
        "google.cloud.pubsub",
        "googleapiclient.discovery",
        # TFMA's notebook widgets.
        "tensorflow_model_analysis.view",
        # TFMA's metrics for text, and its confidence intervals.
        "nltk",
        "nltk.stem",
        "sacrebleu",
        "scipy.stats",
        # Keras's HDF5 files.
        "h5py",
        # Backbones are loaded by few components; imports pkg_resources.
        "tensorflow_hub",
    }
)


class _DeferringLoader(importlib.abc.Loader):
    """Leaves a module unexecuted until an attribute of it is asked for.

    Unlike with `importlib.util.LazyLoader`, a look at `__file__` is no use of a module: `inspect.getmodule`, which
    AutoGraph calls, looks at that of every module.
    """

    def __init__(self, loader: importlib.abc.Loader):
        self._loader = loader

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: types.ModuleType) -> None:
        lock = threading.RLock()
        executing = False

        def load(name: str) -> Any:
            nonlocal executing
            submodule = _find_submodule(module, name)
            if submodule:
                return importlib.import_module(submodule)
            with lock:
                if executing:  # by this thread: the module itself asks, in an import cycle
                    raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")
                if module.__dict__.get("__getattr__") is load:
                    executing = True
                    try:
                        self._loader.exec_module(module)
                    finally:
                        executing = False
                    if module.__dict__["__getattr__"] is load:
                        del module.__dict__["__getattr__"]
            return getattr(module, name)

        # From here on the module is like any other, for `importlib.resources` and `inspect.getsource`.
        if module.__spec__:
            module.__spec__.loader = self._loader
        module.__loader__ = self._loader
        module.__dict__["__getattr__"] = load


class _DeferringFinder(importlib.abc.MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname not in DEFERRED:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _DeferringLoader(spec.loader)
        return spec


def _find_submodule(module: types.ModuleType, name: str) -> str | None:
    """Returns the full name of a package's submodule, which needs no execution of the package."""
    path = module.__dict__.get("__path__")
    full_name = f"{module.__name__}.{name}"
    return full_name if path and importlib.machinery.PathFinder.find_spec(full_name, path) else None


def install() -> None:
    """Makes later imports lean; without effect on what is imported already."""
    if not any(isinstance(finder, _DeferringFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _DeferringFinder())
