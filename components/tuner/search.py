"""The Tuner component's `tuner_fn`, named by its dotted path in `pipeline.training_nodes`.

KerasTuner proposes hyperparameters; every trial trains the classification layers on extracted features, in seconds.
"""

import dataclasses
import logging
from pathlib import Path
from typing import Any

import keras_tuner
from keras_tuner.engine import trial as trial_module
from tfx.components.trainer.fn_args_utils import FnArgs
from tfx.components.tuner.component import TunerFnResult

from components.contracts.schema import read_class_names
from components.contracts.training import best_epoch
from components.modeling.head import build_head
from components.modeling.hyperparameters import Hyperparameters
from components.modeling.input_pipeline import FeaturePipeline
from components.modeling.training_loop import TrainingLoop
from components.modeling.work_dir import remove_work_dir, resumable_work_dir

logger = logging.getLogger(__name__)

OBJECTIVE = "validation_accuracy"
_HIDDEN_UNITS = (64, 128, 256, 512, 1024)
_BATCH_SIZES = (16, 32, 64, 128)
_LEARNING_RATES = (1e-4, 1e-2)


def tuner_fn(fn_args: FnArgs) -> TunerFnResult:
    """Prepares the search for the best classification layers.

    The examples are feature examples. `custom_config` holds `hyperparameters` (see `Hyperparameters`; the first trial),
    `trials`, `feature_memory` (bytes of features to keep in memory) and `work_root` (a local folder for an interrupted
    search).
    """
    hyperparameters = Hyperparameters(**fn_args.custom_config["hyperparameters"])
    oracle = HeadOracle(
        objective=keras_tuner.Objective(OBJECTIVE, "max"),
        max_trials=fn_args.custom_config["trials"],
        hyperparameters=search_space(hyperparameters),
        # To KerasTuner, 0 means no seed at all.
        seed=1 + hyperparameters.seed % 2**31,
        max_consecutive_failed_trials=1,
    )
    tuner = HeadTuner(oracle, hyperparameters, fn_args)
    return TunerFnResult(tuner=tuner, fit_kwargs={"verbose": 0})


def search_space(start: Hyperparameters) -> keras_tuner.HyperParameters:
    """Returns the hyperparameters to vary, with `start` as the defaults and within their ranges."""
    space = keras_tuner.HyperParameters()
    lowest, highest = _LEARNING_RATES
    space.Choice("hidden_units", sorted({*_HIDDEN_UNITS, start.hidden_units}), default=start.hidden_units)
    space.Choice("batch_size", sorted({*_BATCH_SIZES, start.batch_size}), default=start.batch_size)
    space.Float(
        "learning_rate",
        min(lowest, start.learning_rate),
        max(highest, start.learning_rate),
        sampling="log",
        default=start.learning_rate,
    )
    return space


class HeadOracle(keras_tuner.oracles.BayesianOptimizationOracle):
    """Bayesian optimization that starts with the defaults, so that the best trial is never worse than they are."""

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        if self.trials:
            proposal: dict[str, Any] = super().populate_space(trial_id)
            return proposal
        defaults = {parameter.name: parameter.default for parameter in self.hyperparameters.space}
        return {"status": trial_module.TrialStatus.RUNNING, "values": defaults}


class HeadTuner(keras_tuner.engine.base_tuner.BaseTuner):
    """Runs trials with `TrainingLoop`; KerasTuner's own runner drives Keras 3 models only."""

    def __init__(self, oracle: keras_tuner.Oracle, hyperparameters: Hyperparameters, fn_args: FnArgs):
        """Reads the features and resumes an interrupted search; `hyperparameters` are those without a search."""
        self._hyperparameters = hyperparameters
        self._num_classes = len(read_class_names(fn_args.schema_path))
        memory = fn_args.custom_config["feature_memory"]
        self._features = FeaturePipeline(fn_args.train_files, fn_args.eval_files, memory)
        self._work_dir = resumable_work_dir(fn_args, __name__)
        super().__init__(oracle, directory=str(self._work_dir), project_name="search")

    def run_trial(self, trial: trial_module.Trial, **_: Any) -> dict[str, float]:
        """Trains a head and returns the objective at its best epoch."""
        hyperparameters = dataclasses.replace(self._hyperparameters, **trial.hyperparameters.values)
        head = build_head(
            self._features.feature_size, self._num_classes, hyperparameters.hidden_units, hyperparameters.seed
        )
        trial_dir = Path(self.get_trial_dir(trial.trial_id)) / "training"
        loop = TrainingLoop(head, hyperparameters, str(trial_dir), log_level=logging.DEBUG)
        curve = loop.fit(
            lambda epoch: self._features.training_batches(hyperparameters.batch_size, hyperparameters.seed, epoch),
            self._features.validation_batches(),
        )
        score = dataclasses.asdict(curve[best_epoch(curve)])[OBJECTIVE]
        logger.info(
            "Trial %d of %d: %s: validation accuracy %.4f",
            int(trial.trial_id) + 1, self.oracle.max_trials, _describe(trial.hyperparameters.values), score,
        )  # fmt: skip
        return {OBJECTIVE: score}

    def on_search_end(self) -> None:
        remove_work_dir(self._work_dir)

    # TFX calls both; they print to standard output, past this project's reports.
    def search_space_summary(self, extended: bool = False) -> None:
        pass

    def results_summary(self, num_trials: int = 10) -> None:
        pass


def _describe(values: dict[str, Any]) -> str:
    """Returns hyperparameters as one line, such as `batch_size 32, learning_rate 0.001`."""
    shown = {name: f"{value:.4g}" if isinstance(value, float) else value for name, value in sorted(values.items())}
    return ", ".join(f"{name} {value}" for name, value in shown.items())
