"""What a run imports, seen from a fresh interpreter."""

import subprocess
import sys

from components.lean_imports import DEFERRED

_HEAVY = (
    "kubernetes", "keras_tuner", "keras", "tfx.components.infra_validator", "google.cloud.aiplatform",
    "google.cloud.bigquery.client", "google.pubsub_v1", "googleapiclient.schema", "botocore", "docker.client",
    "ipywidgets", "sklearn", "scipy.stats._stats_py", "nltk.corpus", "sacrebleu.compat",
    "h5py._hl", "pkg_resources",
)  # fmt: skip

_USES = (
    ("from apache_beam.io.gcp import bigquery_tools as b", "b.gcp_bigquery.SchemaField('x', 'INT64').name", "x"),
    ("from apache_beam.io.gcp.pubsub import pubsub", "pubsub.types.PubsubMessage(data=b'x').data", "b'x'"),
    ("from google.cloud.bigquery import *", "Client.__name__", "Client"),
    ("from google.cloud.bigquery.table import Row", "Row.__name__", "Row"),
    ("import boto3", "boto3.session.Session.__name__", "Session"),
    ("import docker", "docker.types.Mount.__name__", "Mount"),
    ("from scipy import stats", "round(stats.t.cdf(0, 5), 1)", "0.5"),
    ("import tensorflow_model_analysis as tfma", "tfma.view.render_plot.__name__", "render_plot"),
    (
        "from rouge_score.rouge_scorer import RougeScorer as R",
        "R(['rougeL'], True).score('a', 'a')['rougeL'][0]",
        "1.0",
    ),
    ("import sacrebleu", "sacrebleu.sentence_bleu('a b c d', ['a b c d']).score > 99", "True"),
    ("import tensorflow_hub", "tensorflow_hub.KerasLayer.__name__", "KerasLayer"),
    ("import io, h5py", "h5py.File(io.BytesIO(), 'w').mode", "r+"),
)


def _run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_a_run_does_not_import_what_it_does_not_use() -> None:
    loaded = _run(f"import sys, pipeline.local_run.runner; print([name for name in {_HEAVY} if name in sys.modules])")
    assert loaded.splitlines()[-1] == "[]"


def test_tfx_components_is_complete_when_asked_for() -> None:
    code = "import components, tfx.components as c; print(c.Trainer.__name__, all(hasattr(c, n) for n in c.__all__))"
    assert _run(f"import components; from tfx.components import InfraValidator; {code}").split() == ["Trainer", "True"]


def test_a_run_imports_every_deferred_module_and_executes_none() -> None:
    code = f"""
import inspect, sys
import pipeline.local_run.runner
inspect.getmodule(lambda: None)  # looks at every module
for name in {sorted(DEFERRED)}:
    print(vars(sys.modules[name])["__getattr__"].__module__)
"""
    assert set(_run(code).split()) == {"components.lean_imports"}


def test_a_deferred_module_is_the_real_one_once_used() -> None:
    code = f"""
import importlib, inspect, pathlib, pkgutil
import pipeline.local_run.runner
for name in {sorted(DEFERRED)}:
    module = importlib.import_module(name)
    assert not hasattr(module, "surely_not_there"), name
    assert inspect.getsource(module) == pathlib.Path(module.__file__).read_text(), name
    assert len([public for public in vars(module) if not public.startswith("_")]) > 1, name
    # Before, a submodule's name gives the submodule; afterwards it must not be something else.
    for submodule in pkgutil.iter_modules(getattr(module, "__path__", [])):
        kind = type(vars(module).get(submodule.name, pkgutil)).__name__
        assert kind in ("module", "LazyModule"), (name, submodule.name, kind)
print("checked")
"""
    assert _run(code).split() == ["checked"]


def test_what_needs_a_deferred_module_gets_it() -> None:
    code = "import pipeline.local_run.runner\n"
    for statements, expression, _ in _USES:
        code += f"{statements}\nprint({expression})\n"
    assert _run(code).split() == [result for _, _, result in _USES]


def test_an_import_for_its_side_effects_has_them() -> None:
    code = "import sys, components, tensorflow_io; print('tensorflow_io.python.ops' in sys.modules)"
    assert _run(code).split() == ["True"]


def test_threads_wait_for_a_module_that_another_one_executes() -> None:
    code = """
import pipeline.local_run.runner, scipy.stats
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(8) as threads:
    print(len({id(norm) for norm in threads.map(lambda _: scipy.stats.norm, range(8))}))
"""
    assert _run(code).split() == ["1"]


def test_a_module_that_is_not_installed_is_reported_by_its_import() -> None:
    code = """
import components.lean_imports as lean
lean.DEFERRED = {"not_installed"}
try:
    import not_installed
except ModuleNotFoundError as error:
    print(error.name)
"""
    assert _run(code).split() == ["not_installed"]


def test_help_imports_neither_tensorflow_nor_tfx() -> None:
    code = """
import sys
from pipeline.cli.main import main
try:
    main(["--help"])
except SystemExit:
    pass
print([name for name in ("tensorflow", "tfx", "apache_beam", "numpy") if name in sys.modules])
"""
    assert _run(code).splitlines()[-1] == "[]"
