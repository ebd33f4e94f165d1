"""The `run_fn` of the Trainer that fine-tunes, named by its dotted path in `pipeline.graph`.

It goes on from the classifier that `components.trainer.run_fn` exported, whose head is trained and whose backbone is
not yet, with the same training loop, over photos instead of features.
"""

import dataclasses
import json
import logging
import time

import tensorflow as tf
import tensorflow_transform as tft
from tfx.components.trainer.fn_args_utils import FnArgs
from tfx.utils import io_utils

from components.common.errors import UserError
from components.contracts.schema import class_names_of
from components.contracts.training import FINE_TUNING_FILE, FineTuningOutcome, best_epoch
from components.modeling import devices
from components.modeling.augmentation import mix_up
from components.modeling.classifier import build_classifier, last_layers
from components.modeling.head import rebuild_head
from components.modeling.hyperparameters import AUTO_EPOCHS, FineTuning, Hyperparameters
from components.modeling.image_pipeline import ImagePipeline
from components.modeling.input_pipeline import epoch_seed
from components.modeling.serving import Familiarity, ServingModel, export, image_size_of
from components.modeling.training_loop import TrainingLoop
from components.modeling.work_dir import resumable_work_dir
from components.trainer.calibration import calibrate
from components.trainer.crop_size import crop_size
from components.trainer.familiarity_fit import MAX_REFERENCES, fit_familiarity, photo_features
from components.trainer.optimizers import fine_tuning_optimizers
from components.trainer.run_fn import keep_logs
from components.trainer.time_budget import epochs_within, remembered_epochs

logger = logging.getLogger(__name__)

_TIMED_STEPS = 6


def run_fn(fn_args: FnArgs) -> None:
    """Trains the whole classifier, or the last layers of its backbone with the head, and exports it.

    Args:
        fn_args: TFX's arguments; `base_model` is a classifier exported by `components.trainer.run_fn`, the examples are
            raw. `custom_config` holds `hyperparameters` (see `Hyperparameters`), `fine_tuning` (see `FineTuning`) and
            `work_root`, a local folder where interrupted training is kept.

    Raises:
        UserError: The backbone cannot be trained.
    """
    fine_tuner = FineTuner(fn_args)
    outcome = fine_tuner.run()
    # No digest: the features that were extracted are not this backbone's, so evaluation has to look at the photos.
    serving = ServingModel(
        fine_tuner.classifier,
        fine_tuner.transform_output,
        class_names_of(io_utils.SchemaReader().read(fn_args.schema_path)),
        backbone_digest="",
        familiarity=fine_tuner.finish(outcome.kept),
    )
    export(serving, fn_args.serving_model_dir)
    keep_logs(fine_tuner.work_dir, fn_args.model_run_dir)
    io_utils.write_string_file(f"{fn_args.model_run_dir}/{FINE_TUNING_FILE}", json.dumps(dataclasses.asdict(outcome)))


class FineTuner:
    """One fine-tuning: what is trained, on what, and for how long.

    Attributes:
        classifier: From images to logits.
        transform_output: Transform's graph.
        work_dir: Where it is kept until it is finished.
    """

    def __init__(self, fn_args: FnArgs):
        """Loads the classifier.

        Args:
            fn_args: As `run_fn` takes them.

        Raises:
            UserError: The backbone cannot be trained.
        """
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
            self._image_size = crop_size(base.backbone, served_size, self._fine_tuning.image_size)
            any_size = (None, None) if self._image_size != served_size else served_size
            self.classifier = build_classifier(base.backbone, any_size, rebuild_head(base.head_weights), True)
            self._backbone_variables = _variables_to_train(base.backbone, self._fine_tuning.layers)
        logger.info(
            "Fine-tuning %d of %d backbone variables and the head on %d device(s)%s, on crops of %dx%d pixels",
            len(self._backbone_variables), len(base.backbone.trainable_variables),
            self._strategy.num_replicas_in_sync, " in mixed precision" if self._mixed_precision else "",
            *self._image_size,
        )  # fmt: skip

    def run(self) -> FineTuningOutcome:
        """Fine-tunes, and takes it back if no epoch is as good on the validation split as the start was."""
        with devices.mixed_precision(self._mixed_precision):
            start = self.classifier.get_weights()
            steps = self._images.count_batches(self._fn_args.train_files)
            loop = self._loop(self._epochs(steps), steps)
            loss, accuracy = loop.validate(self._validation)
            logger.info("Before fine-tuning: validation loss %.4f, validation accuracy %.4f", loss, accuracy)
            history = loop.fit(self._training_batches, self._validation)
            best = history[best_epoch(history)]
            kept = (best.validation_accuracy, -best.validation_loss) >= (accuracy, -loss)
            if not kept:
                logger.warning(
                    "No epoch of fine-tuning was as good on validation as the start: the model stays as it was before "
                    "it; try a lower --fine-tune-learning-rate, or fewer --fine-tune-layers"
                )
                self.classifier.set_weights(start)
            return FineTuningOutcome(accuracy, best.validation_accuracy, kept, len(history))

    def _loop(self, epochs: int, steps_per_epoch: int, folder: str = "") -> TrainingLoop:
        head = self.classifier.get_layer("classification_layers").trainable_variables
        with self._strategy.scope():
            optimizers = fine_tuning_optimizers(
                self._fine_tuning, self._backbone_variables, head, epochs, steps_per_epoch
            )
        patience = self._fine_tuning.early_stopping_patience
        return TrainingLoop(
            self.classifier,
            dataclasses.replace(self._hyperparameters, epochs=epochs, early_stopping_patience=patience),
            str(self.work_dir / folder),
            self._strategy,
            optimizers=optimizers,
            label_smoothing=self._fine_tuning.label_smoothing,
            scale_loss=self._mixed_precision,
        )

    def _training_batches(self, epoch: int) -> tf.data.Dataset:
        seed, mixup = self._hyperparameters.seed, self._fine_tuning.mixup
        batches = self._images.training_batches(
            self._fn_args.train_files, self._image_size, self._fine_tuning.min_crop, seed, epoch
        )
        num_classes = self.classifier.output_shape[-1]
        return mix_up(batches, mixup, num_classes, epoch_seed(seed, epoch)) if mixup else batches

    def _epochs(self, steps: int) -> int:
        if self._fine_tuning.epochs != AUTO_EPOCHS:
            return self._fine_tuning.epochs

        def choose() -> int:
            trial = self._loop(1, steps, "trial")
            began = time.monotonic()
            trial.validate(self._validation)
            validation_seconds = time.monotonic() - began
            start = self.classifier.get_weights()
            per_epoch = steps * trial.seconds_per_step(self._training_batches(0), _TIMED_STEPS) + validation_seconds
            self.classifier.set_weights(start)
            # Two more looks at the validation split, and one at training photos, are still to come.
            budget = self._fine_tuning.budget
            left = budget - (time.monotonic() - self._started) - 4 * validation_seconds
            epochs = epochs_within(left, per_epoch)
            logger.info("%d epochs of about %.0f s each: what %.0f s have room for", epochs, per_epoch, budget)
            return epochs

        return remembered_epochs(self.work_dir, choose)

    def finish(self, calibrated: bool) -> Familiarity:
        """Looks at the photos once more: how sure the answers should be, and what is familiar.

        Args:
            calibrated: Whether the head's last layer is scaled in place.

        Returns:
            Of the features as they are now.
        """
        features, labels = photo_features(self.classifier, self._validation)
        if calibrated:
            head = self.classifier.get_layer("classification_layers")
            factor = calibrate(head.layers[-1], head(features).numpy(), labels)
            logger.info("Calibrated: logits times %.3f", factor)
        # Examples are in the order of a hash: the first ones are a sample.
        sample = self._images.validation_batches(self._fn_args.train_files).unbatch().take(MAX_REFERENCES)
        return fit_familiarity(photo_features(self.classifier, sample.batch(self._images.batch_size))[0], [features])


def _variables_to_train(backbone: tf.Module, layers: int | None) -> list[tf.Variable]:
    if not getattr(backbone, "trainable_variables", None):
        raise UserError(
            "this backbone cannot be fine-tuned: it is a SavedModel without trainable variables; leave out "
            "--fine-tune, or choose another --backbone"
        )
    return last_layers(backbone, layers)
