"""How thresholds on any metric are explained, and named among a run's parameters."""

from collections.abc import Callable
from typing import Any

import pytest
from recorded_runs import RecordedRuns, predictions
from tfx.utils import proto_utils

from components.contracts.evaluation import ThresholdResult
from pipeline.blessing import build_eval_config
from pipeline.config import BlessingConfig
from pipeline.records.explanation import explain
from pipeline.records.store import open_store

Ask = Callable[..., Any]


def _change(direction: str, bound: float, value: float, baseline: float) -> ThresholdResult:
    return ThresholdResult("loss", "change", direction, bound, passed=False, value=value, baseline=baseline)


def test_why_shows_thresholds_on_any_metric(runs: RecordedRuns, ask: Ask) -> None:
    loss = ThresholdResult("loss", "value", "upper", 0.5, passed=False, value=0.75, baseline=None)
    recall = ThresholdResult("recall[daisy]", "value", "lower", 0.5, passed=True, value=0.75, baseline=None)
    unseen = ThresholdResult("recall[roses]", "value", "lower", 0.5, passed=False, value=None, baseline=None)
    runs.add("run-a", predictions(range(4)), thresholds=[loss, recall, unseen])
    checks = {check["metric"]: check for check in ask("why")["checks"]}
    assert (checks["loss"]["direction"], checks["loss"]["gap"], checks["loss"]["passed"]) == ("upper", 0.25, False)
    assert checks["recall[daisy]"]["passed"]
    assert (checks["recall[roses]"]["measured"], checks["recall[roses]"]["gap"]) == (None, None)
    text = ask("why", text=True)
    assert "it missed 2 of 4 thresholds" in text
    assert "test recall[roses] was not measured: no test photo counts towards it" in text


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (_change("upper", 0.1, 0.9, 0.5), "0.4000 above the latest blessed model's 0.5000; the allowed rise is 0.1000"),
        (_change("upper", -0.1, 0.45, 0.5), "0.0500 below the latest blessed model's 0.5000; the required drop is"),
        (_change("lower", 0.1, 0.55, 0.5), "0.0500 above the latest blessed model's 0.5000; the required rise is"),
        (_change("lower", 0.1, 0.4, 0.5), "0.1000 below the latest blessed model's 0.5000; the required rise is"),
        (_change("lower", -0.1, 0.3, 0.5), "0.2000 below the latest blessed model's 0.5000; the allowed drop is"),
        (_change("lower", 0.0, 0.4, 0.5), "the allowed drop is 0.0000"),
        (_change("upper", 0.0, 0.6, 0.5), "the allowed rise is 0.0000"),
    ],
)
def test_a_missed_change_says_what_is_allowed_or_required(
    runs: RecordedRuns, result: ThresholdResult, words: str
) -> None:
    runs.add("run-a", predictions(range(4)), thresholds=[result])
    (reason,) = explain(open_store(str(runs.output)).run("run-a")).misses
    assert words in reason


def test_thresholds_are_named_among_the_parameters(runs: RecordedRuns) -> None:
    blessing = BlessingConfig(bless=("loss<=0.5", "loss<=baseline+0.1", "precision[roses]>=0.6", "recall[roses]>=0.7"))
    config = build_eval_config(blessing)
    runs.node("run-a", "Evaluator.test", {}, {}, {"eval_config": proto_utils.proto_to_json(config)})
    parameters = open_store(str(runs.output)).run("run-a").parameters
    prefix = "Evaluator.test.threshold."
    assert {name.removeprefix(prefix): value for name, value in parameters.items() if name.startswith(prefix)} == {
        "accuracy.value": 0.7, "accuracy.change": -0.02, "loss.value.upper": 0.5, "loss.change.upper": 0.1,
        "precision[roses].value": 0.6, "recall[roses].value": 0.7,
    }  # fmt: skip
