"""TFX's cache key of every component follows the code that it runs and the libraries that this code uses."""

import importlib.metadata
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pipeline_configs import WHOLE, nodes_of
from tfx.dsl.components.base import base_component
from tfx.orchestration import metadata
from tfx.orchestration.portable import cache_utils
from tfx.proto.orchestration import pipeline_pb2

from components.common import code_digest as digests
from components.contracts import CODE_DIGEST_PARAMETER

_ROOT = Path(digests.__file__).parents[2]
# Forks after what is common to all, so that each component's own imports are seen apart from the others'.
_LIST_IMPORTS = """
import importlib, json, os, sys
import components, apache_beam, tensorflow, tensorflow_model_analysis, tensorflow_transform, tfx.components
common = set(sys.modules)
for node_id, modules in json.load(sys.stdin).items():
    if not os.fork():
        for module in modules:
            importlib.import_module(module)
        own = [sys.modules[name].__file__ for name in set(sys.modules) - common if name.startswith("components.")]
        print(json.dumps([node_id, own]), flush=True)
        os._exit(0)
    os.wait()
"""


def _components() -> list[base_component.BaseComponent]:
    return [node for node in nodes_of(WHOLE).values() if isinstance(node, base_component.BaseComponent)]


def _modules(component: base_component.BaseComponent) -> list[str]:
    """Returns the executor's module and those of the functions and metrics that its parameters name."""
    named = re.findall(r"components(?:\.\w+)+", json.dumps(component.exec_properties, default=str))
    functions = {name: name.rpartition(".")[0] for name in named if name.endswith("_fn")}
    return [component.executor_spec.executor_class.__module__, *(functions.get(name, name) for name in named)]


@pytest.fixture(scope="module")
def files_run() -> dict[str, set[Path]]:
    """This project's files that a process imports which runs a component, by node id."""
    modules = {component.id: _modules(component) for component in _components()}
    listed = subprocess.run(
        [sys.executable, "-c", _LIST_IMPORTS],
        check=True,
        input=json.dumps(modules),
        capture_output=True,
        text=True,
        cwd=_ROOT,
    )
    lines = [json.loads(line) for line in listed.stdout.splitlines()]
    assert {node_id for node_id, _ in lines} == set(modules)
    return {node_id: {Path(file).relative_to(_ROOT) for file in files} for node_id, files in lines}


def _cache_keys() -> dict[str, str]:
    """Returns TFX's own cache key of every component, for the same inputs."""
    keys = {}
    with metadata.Metadata(metadata.sqlite_metadata_connection_config(":memory:")) as handle:
        for component in _components():
            context = cache_utils.get_cache_context(
                handle,
                pipeline_pb2.PipelineNode(),
                pipeline_pb2.PipelineInfo(id=component.id),
                parameters=component.exec_properties,
            )
            keys[component.id] = context.name
    return keys


@pytest.fixture(scope="module")
def before() -> dict[str, str]:
    """The cache keys of the code and the libraries as they are."""
    return _cache_keys()


@pytest.mark.slow
def test_an_edit_of_any_file_that_a_component_runs_makes_it_run_again(
    copied_tree: Path, files_run: dict[str, set[Path]]
) -> None:
    assert Path("components/trainer/run_fn.py") in files_run["Trainer"]
    assert Path("components/evaluator/classification_metrics.py") in files_run["Evaluator.test"]
    components = _components()
    before = {component.id: component.exec_properties[CODE_DIGEST_PARAMETER] for component in components}
    modules = {component.id: _modules(component) for component in components}
    for file in sorted(set().union(*files_run.values())):
        content = (copied_tree / file).read_bytes()
        (copied_tree / file).write_bytes(content + b"\n# edited\n")
        runs_it = [node_id for node_id, files in files_run.items() if file in files]
        after = {node_id: digests.code_digest(*modules[node_id]) for node_id in runs_it}
        (copied_tree / file).write_bytes(content)
        stale = {node_id for node_id, digest in after.items() if digest == before[node_id]}
        assert not stale, f"an edit of {file} is answered from the cache"


def test_an_edit_elsewhere_is_answered_from_the_cache(copied_tree: Path, before: dict[str, str]) -> None:
    assert _cache_keys() == before
    (copied_tree / "components/trainer/visualization.py").write_text("# edited\n")
    changed = {node_id for node_id, key in _cache_keys().items() if key != before[node_id]}
    assert changed == {"Trainer", "Trainer.fine_tuning"}


@pytest.fixture
def read_anew() -> Iterator[Callable[[], None]]:
    """A function that forgets the versions that were read; they are forgotten after the test as well."""
    forget = digests._version.cache_clear
    yield forget
    forget()


@pytest.mark.parametrize("library", ["tensorflow", "tfx", "apache-beam", "tensorflow-model-analysis", "numpy"])
def test_an_upgrade_makes_what_rests_on_it_run_again(
    library: str, before: dict[str, str], read_anew: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    version = importlib.metadata.version

    def upgraded(name: str) -> str:
        return f"{version(name)}.1" if name.lower().replace("_", "-") == library else version(name)

    monkeypatch.setattr(importlib.metadata, "version", upgraded)
    read_anew()
    changed = {node_id for node_id, key in _cache_keys().items() if key != before[node_id]}
    assert changed >= {"Evaluator.validation", "Evaluator.test"}
    assert library != "tfx" or changed == set(before), "every executor is TFX's or derived from it"
