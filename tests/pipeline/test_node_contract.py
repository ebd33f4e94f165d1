"""The names that readers know nodes and outputs by are those of the graph."""

from components.contracts import nodes
from components.modeling.hyperparameters import FineTuning
from pipeline.config import BackboneConfig, DataConfig, PipelineConfig
from pipeline.graph import create_pipeline


def test_every_name_is_in_the_graph() -> None:
    whole = PipelineConfig(
        name="flowers",
        output="/tmp/flowers",
        data=DataConfig(class_names=("daisy", "roses"), fingerprint="1", dataset="synthetic_flowers"),
        backbone=BackboneConfig("efficientnet_lite0", (224, 224), digest="d1"),
        tuning_trials=1,
        fine_tuning=FineTuning(),
        export_tflite=True,
    )
    components = {component.id: component for component in create_pipeline(whole).components}
    outputs = {value for value in vars(nodes).values() if isinstance(value, nodes.Output)}
    assert {(node_id, key) for node_id, key in outputs if key not in components[node_id].outputs} == set()
    others = ("_PROPERTY", "_INPUT", "_KEY", "_SPLIT")
    ids = {
        value
        for name, value in vars(nodes).items()
        if isinstance(value, str) and name.isupper() and not name.endswith(others)
    }
    assert ids - {nodes.BASELINE_IMPORTER, nodes.BASELINE_READER, nodes.PHOTOS_FINGERPRINT} <= components.keys()
    assert {nodes.MODEL_INPUT, nodes.BASELINE_INPUT} <= components[nodes.EVALUATOR_TEST].inputs.keys()
