"""Tests of the search for hyperparameters, on real feature examples."""

import contextlib
import dataclasses
import io
import json
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from keras_tuner.engine import base_tuner

from components.modeling.hyperparameters import Hyperparameters
from components.trainer import run_fn as trainer
from components.tuner.search import tuner_fn

_START = Hyperparameters(hidden_units=100, learning_rate=0.003, batch_size=8, epochs=2, seed=0)


def _tuner(files: Any, folder: Path, trials: int = 3) -> base_tuner.BaseTuner:
    custom_config = {"hyperparameters": dataclasses.asdict(_START), "trials": trials}
    result = tuner_fn(files.fn_args(folder, custom_config=custom_config))
    result.tuner.fit = lambda: result.tuner.search(**result.fit_kwargs)
    return result.tuner


def _trials(tuner: base_tuner.BaseTuner) -> list[tuple[dict[str, Any], float]]:
    trials = sorted(tuner.oracle.trials.values(), key=lambda trial: trial.trial_id)
    return [(trial.hyperparameters.values, trial.score) for trial in trials]


@pytest.fixture(scope="module")
def undisturbed(feature_files: Any, tmp_path_factory: pytest.TempPathFactory) -> base_tuner.BaseTuner:
    folder = tmp_path_factory.mktemp("undisturbed")
    tuner = _tuner(feature_files, folder)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        tuner.fit()
    assert printed.getvalue() == ""
    assert not any((folder / "work").iterdir())
    return tuner


@pytest.mark.slow
def test_it_starts_from_the_given_values(undisturbed: base_tuner.BaseTuner) -> None:
    trials = _trials(undisturbed)
    assert len({str(values) for values, _ in trials}) == len(trials) == 3
    assert trials[0][0] == {"hidden_units": 100, "learning_rate": 0.003, "batch_size": 8}
    best = undisturbed.get_best_hyperparameters()[0].values
    assert max(score for _, score in trials) == next(score for values, score in trials if values == best)


@pytest.mark.slow
def test_an_interrupted_search_goes_on_to_the_same_trials(
    feature_files: Any,
    undisturbed: base_tuner.BaseTuner,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    interrupted = _tuner(feature_files, tmp_path / "interrupted")
    run_trial, runs = interrupted.run_trial, []

    def stop_at_the_second(trial: Any, **values: Any) -> Any:
        runs.append(trial.trial_id)
        if len(runs) == 2:
            raise KeyboardInterrupt
        return run_trial(trial, **values)

    monkeypatch.setattr(interrupted, "run_trial", stop_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        interrupted.fit()
    resumed = _tuner(feature_files, tmp_path / "interrupted")
    monkeypatch.setattr(
        resumed,
        "run_trial",
        lambda trial, **v: (runs.append(trial.trial_id), type(resumed).run_trial(resumed, trial, **v))[1],
    )
    resumed.fit()
    assert runs == ["0", "1", "1", "2"]
    assert _trials(resumed) == _trials(undisturbed)


def test_a_failing_trial_stops_the_search(feature_files: Any, tmp_path: Path) -> None:
    tuner = _tuner(feature_files, tmp_path)
    tuner._features = None
    with pytest.raises(RuntimeError, match="NoneType"):
        tuner.fit()


@pytest.mark.slow
def test_the_trainer_takes_the_best_values_and_streams_what_does_not_fit(
    feature_files: Any, tmp_path: Path, trainable_backbone: str, caplog: pytest.LogCaptureFixture
) -> None:
    tuned = {"space": [], "values": {"hidden_units": 7, "learning_rate": 0.02, "batch_size": 5}}
    config = {"hyperparameters": dataclasses.asdict(_START), "feature_memory": 20_000}
    with caplog.at_level("INFO"):
        trainer.run_fn(
            feature_files.fn_args(tmp_path, base_model=trainable_backbone, hyperparameters=tuned, custom_config=config)
        )
    assert "feature vectors that do not fit the memory set for them: read in every epoch, 256 shuffled" in caplog.text
    model = tf.saved_model.load(str(tmp_path / "serving_model_dir"))
    assert model.head_weights[0].shape == (12, 7)
    assert "familiarity" in model.signatures["serving_default"].structured_outputs
    assert len(json.loads((tmp_path / "model_run_dir" / "history.json").read_text())) == 2
    assert (tmp_path / "model_run_dir" / "classifier" / "metadata.tsv").exists()
