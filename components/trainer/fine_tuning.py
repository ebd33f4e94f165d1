"""The `run_fn` of the Trainer that fine-tunes, named by its dotted path in `pipeline.training_nodes`.

It continues with the classifier of `components.trainer.run_fn` and trains its backbone and head on photos.
"""

import dataclasses
import json
import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
from tfx.components.trainer.fn_args_utils import FnArgs
from tfx.utils import io_utils

from components.common.errors import UserError
from components.common.text import counted
from components.contracts.schema import read_class_names
from components.contracts.training import FINE_TUNING_FILE, FineTuningOutcome, best_epoch
from components.modeling import devices
from components.modeling.backbones.contract import takes_any_size
from components.modeling.classifier import build_classifier, last_layers
from components.modeling.familiarity import MAX_REFERENCES, Familiarity, fit_familiarity
from components.modeling.head import rebuild_head
from components.modeling.hyperparameters import FineTuning, Hyperparameters, Size
from components.modeling.image_pipeline import ImagePipeline
from components.modeling.serving import ServingModel, export, image_size_of
from components.modeling.training_loop import OptimizedVariables, TrainingLoop
from components.modeling.work_dir import resumable_work_dir
from components.storage.atomic import write_atomically
from components.trainer.calibration import calibrate
from components.trainer.run_fn import keep_logs

logger = logging.getLogger(__name__)

# Objects in a random crop look larger than in the whole photo: smaller images show them at the size of serving, in less
# time (https://arxiv.org/abs/1906.06423). 176 pixels for 224, as in torchvision's recipes
# (https://pytorch.org/blog/how-to-train-state-of-the-art-models-using-torchvision-latest-primitives/).
_CROP_SCALE: Final = 176 / 224
# The smallest share of a photo's area in a crop; larger than the 0.08 of training from scratch, as epochs are few.
_MIN_CROP: Final = 0.35
_LABEL_SMOOTHING: Final = 0.1  # see `training_loop.smoothed`
_HEAD_RATE_FACTOR: Final = 10  # the head is new, the backbone is not (https://arxiv.org/abs/1801.06146)
_WEIGHT_DECAY: Final = 1e-3  # AdamW multiplies it by the learning rate
_WARMUP_SHARE: Final = 0.1
MAX_EPOCHS: Final = 30  # within a budget: hundreds of epochs would fit for few photos
_TIMED_STEPS: Final = 6
_EPOCHS_FILE: Final = "epochs.json"


def run_fn(fn_args: FnArgs) -> None:
    """Trains the whole classifier, or the last layers of its backbone with the head, and exports it.

    `base_model` is a classifier exported by `components.trainer.run_fn`; the examples are raw. `custom_config` holds
    `hyperparameters` (see `Hyperparameters`), `fine_tuning` (see `FineTuning`) and `work_root` (a local folder for
    interrupted training). Raises UserError if the backbone cannot be trained.
    """
    fine_tuner = FineTuner(fn_args)
    outcome = fine_tuner.run()
    # No digest: the extracted features are not this backbone's, so evaluation has to read the photos.
    serving = ServingModel(
        fine_tuner.classifier,
        fine_tuner.transform_output,
        read_class_names(fn_args.schema_path),
        backbone_digest="",
        familiarity=fine_tuner.finish(calibrated=outcome.kept),
    )
    export(serving, fn_args.serving_model_dir)
    keep_logs(fine_tuner.work_dir, fn_args.model_run_dir)
    io_utils.write_string_file(f"{fn_args.model_run_dir}/{FINE_TUNING_FILE}", json.dumps(dataclasses.asdict(outcome)))


class FineTuner:
    """One fine-tuning: what is trained, on what, and for how long; `work_dir` holds it until it is finished."""

    def __init__(self, fn_args: FnArgs):
        """Loads the classifier; `fn_args` as for `run_fn`, with its errors."""
        self._started = time.monotonic()
        self._fn_args = fn_args
        self._fine_tuning = FineTuning(**fn_args.custom_config["fine_tuning"])
        self._hyperparameters = Hyperparameters(**fn_args.custom_config["hyperparameters"])
        self.work_dir = resumable_work_dir(fn_args, __name__)
        self.transform_output = tft.TFTransformOutput(fn_args.transform_graph_path)
        self._images = ImagePipeline(self.transform_output, self._hyperparameters.batch_size)
        self._validation = self._images.validation_batches(fn_args.eval_files)
        self._strategy = devices.choose_strategy(devices.training_devices())
        self._mixed_precision = devices.supports_mixed_precision(devices.gpu_compute_capabilities())
        served_size = image_size_of(self.transform_output)
        with self._strategy.scope():
            base = tf.saved_model.load(fn_args.base_model)
            self._crop_size = _crop_size(base.backbone, served_size)
            input_size = served_size if self._crop_size == served_size else (None, None)
            self.classifier = build_classifier(base.backbone, input_size, rebuild_head(base.head_weights), True)
            self._backbone_variables = _variables_to_train(base.backbone, self._fine_tuning.layers)
        logger.info(
            "Fine-tuning %d of %d backbone variables and the head on %d device(s)%s, on crops of %dx%d pixels",
            len(self._backbone_variables), len(base.backbone.trainable_variables),
            self._strategy.num_replicas_in_sync, " in mixed precision" if self._mixed_precision else "",
            *self._crop_size,
        )  # fmt: skip

    def run(self) -> FineTuningOutcome:
        """Fine-tunes; restores the start if no epoch is as good on the validation split."""
        with devices.mixed_precision(self._mixed_precision):
            start = self.classifier.get_weights()
            steps = self._images.count_batches(self._fn_args.train_files)
            loop = self._loop(self._epochs(steps), steps)
            loss, accuracy = loop.validate(self._validation)
            logger.info("Before fine-tuning: validation loss %.4f, validation accuracy %.4f", loss, accuracy)
            curve = loop.fit(self._training_batches, self._validation)
            best = curve[best_epoch(curve)]
            kept = (best.validation_accuracy, -best.validation_loss) >= (accuracy, -loss)
            if not kept:
                logger.warning(
                    "No epoch of fine-tuning matched the validation accuracy of the start: the model is exported "
                    "without fine-tuning; try a lower --fine-tune-learning-rate or fewer --fine-tune-layers"
                )
                self.classifier.set_weights(start)
            return FineTuningOutcome(accuracy, best.validation_accuracy, kept, len(curve))

    def finish(self, calibrated: bool) -> Familiarity:
        """Fits familiarity to the features as they are now; `calibrated` first scales the head's last layer."""
        features, labels = photo_features(self.classifier, self._validation)
        if calibrated:
            head = self.classifier.get_layer("classification_layers")
            factor = calibrate(head.layers[-1], head(features).numpy(), labels)
            logger.info("Calibrated: logits times %.3f", factor)
        # Examples are in the order of a hash: the first ones are a sample.
        sample = self._images.validation_batches(self._fn_args.train_files).unbatch().take(MAX_REFERENCES)
        references, _ = photo_features(self.classifier, sample.batch(self._images.batch_size))
        return fit_familiarity(references, [features])

    def _loop(self, epochs: int, steps_per_epoch: int, folder: str = "") -> TrainingLoop:
        head = self.classifier.get_layer("classification_layers").trainable_variables
        rate, steps = self._fine_tuning.learning_rate, epochs * steps_per_epoch
        with self._strategy.scope():
            optimizers = [
                _optimizer(rate, steps, self._backbone_variables),
                _optimizer(_HEAD_RATE_FACTOR * rate, steps, head),
            ]
        # The last epochs, at low rates, tend to be the best: nothing stops before them.
        hyperparameters = dataclasses.replace(self._hyperparameters, epochs=epochs, early_stopping_patience=0)
        return TrainingLoop(
            self.classifier,
            hyperparameters,
            str(self.work_dir / folder),
            self._strategy,
            optimizers=optimizers,
            label_smoothing=_LABEL_SMOOTHING,
            scale_loss=self._mixed_precision,
        )

    def _training_batches(self, epoch: int) -> tf.data.Dataset:
        return self._images.training_batches(
            self._fn_args.train_files, self._crop_size, _MIN_CROP, self._hyperparameters.seed, epoch
        )

    def _epochs(self, steps: int) -> int:
        """Returns the given number of epochs, or as many as the budget has room for."""
        budget = self._fine_tuning.budget
        if budget is None:
            return self._fine_tuning.epochs

        def choose() -> int:
            trial = self._loop(1, steps, "trial")
            began = time.monotonic()
            trial.validate(self._validation)
            validation_seconds = time.monotonic() - began
            start = self.classifier.get_weights()
            per_epoch = steps * trial.seconds_per_step(self._training_batches(0), _TIMED_STEPS) + validation_seconds
            self.classifier.set_weights(start)
            # Still to come: two more passes over the validation split, and one over training photos.
            left = budget - (time.monotonic() - self._started) - 4 * validation_seconds
            epochs = epochs_within(left, per_epoch)
            logger.info("%s of about %.0f s each fit into %.0f s", counted(epochs, "epoch"), per_epoch, budget)
            return epochs

        return remembered_epochs(self.work_dir, choose)


def photo_features(classifier: tf.keras.Sequential, photos: tf.data.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Returns the features float32 [N, D] of a classifier's own backbone, and the labels int64 [N].

    `photos` are batches of (float32 [N, H, W, 3] in [0, 1], int64 [N]).
    """
    extractor = classifier.get_layer("feature_extractor")
    extract = tf.function(lambda images: extractor(images, training=False), reduce_retracing=True)
    found = [(extract(images).numpy(), labels.numpy()) for images, labels in photos]
    features, labels = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return features, labels


def _variables_to_train(backbone: tf.Module, layers: int | None) -> list[tf.Variable]:
    if not getattr(backbone, "trainable_variables", None):
        raise UserError(
            "this backbone cannot be fine-tuned: it is a SavedModel without trainable variables; leave out "
            "--fine-tune, or choose another --backbone"
        )
    return last_layers(backbone, layers)


def _crop_size(backbone: tf.Module, served: Size) -> Size:
    """Returns the size that crops are resized to: smaller than what is served, if the backbone takes it."""
    height, width = (round(_CROP_SCALE * pixels) for pixels in served)
    return (height, width) if takes_any_size(backbone) else served


def _optimizer(peak: float, steps: int, variables: Sequence[tf.Variable]) -> OptimizedVariables:
    """Returns AdamW (arXiv:1711.05101) with warm-up and cosine decay (arXiv:1608.03983), in the strategy's scope."""
    warmup = int(_WARMUP_SHARE * steps)
    schedule = tf.keras.optimizers.schedules.CosineDecay(
        # Without a step of warm-up, the decay begins where it would end.
        0.0 if warmup else peak,
        max(steps - warmup, 1),
        warmup_target=peak if warmup else None,
        warmup_steps=warmup,
    )
    optimizer = tf.keras.optimizers.AdamW(schedule, weight_decay=_WEIGHT_DECAY)
    # Its variables exist before a checkpoint is read.
    optimizer.build(list(variables))
    return optimizer, variables


def epochs_within(seconds: float, seconds_per_epoch: float) -> int:
    """Returns how many epochs, training and validation, fit: at least 1, at most `MAX_EPOCHS`."""
    return max(1, min(MAX_EPOCHS, int(seconds / seconds_per_epoch)))


def remembered_epochs(work_dir: Path, choose: Callable[[], int]) -> int:
    """Returns the number of epochs that this training chose when it started: resumed, it keeps to it."""
    file = work_dir / _EPOCHS_FILE
    if file.exists():
        return int(json.loads(file.read_text()))
    epochs = choose()
    write_atomically(file, json.dumps(epochs))
    return epochs
