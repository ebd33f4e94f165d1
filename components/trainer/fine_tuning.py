"""The `run_fn` of the Trainer that fine-tunes, named by its dotted path in `pipeline.graph`.

It goes on from the classifier that `components.trainer.run_fn` exported, whose head is trained and whose backbone is
not yet, with the same training loop, over photos instead of features.
"""

import dataclasses
import json
import logging

import tensorflow as tf
import tensorflow_transform as tft
from tfx.components.trainer.fn_args_utils import FnArgs
from tfx.utils import io_utils

from components.common.contracts.training import FINE_TUNING_FILE, FineTuningOutcome, best_epoch
from components.common.errors import UserError
from components.common.schema import class_names_of
from components.modeling import devices
from components.modeling.classifier import build_classifier, last_layers
from components.modeling.head import rebuild_head
from components.modeling.hyperparameters import FineTuning, Hyperparameters
from components.modeling.image_pipeline import ImagePipeline
from components.modeling.serving import ServingModel, export, image_size_of
from components.modeling.training_loop import TrainingLoop
from components.modeling.work_dir import resumable_work_dir
from components.trainer.run_fn import keep_logs

logger = logging.getLogger(__name__)


def run_fn(fn_args: FnArgs) -> None:
    """Trains the whole classifier, or the last layers of its backbone with the head, and exports it.

    Args:
        fn_args: TFX's arguments; `base_model` is a classifier exported by `components.trainer.run_fn`, the examples are
            raw. `custom_config` holds `hyperparameters` (see `Hyperparameters`), `fine_tuning` (see `FineTuning`) and
            `work_root`, a local folder where interrupted training is kept.

    Raises:
        UserError: The backbone cannot be trained.
    """
    fine_tuning = FineTuning(**fn_args.custom_config["fine_tuning"])
    hyperparameters = dataclasses.replace(
        Hyperparameters(**fn_args.custom_config["hyperparameters"]),
        learning_rate=fine_tuning.learning_rate,
        epochs=fine_tuning.epochs,
    )
    class_names = class_names_of(io_utils.SchemaReader().read(fn_args.schema_path))
    work_dir = resumable_work_dir(fn_args, __name__)
    transform_output = tft.TFTransformOutput(fn_args.transform_graph_path)
    images = ImagePipeline(transform_output, hyperparameters.batch_size)

    strategy = devices.choose_strategy(devices.training_devices())
    mixed_precision = devices.supports_mixed_precision(devices.gpu_compute_capabilities())
    with strategy.scope():
        base = tf.saved_model.load(fn_args.base_model)
        classifier = build_classifier(
            base.backbone, image_size_of(transform_output), rebuild_head(base.head_weights), True
        )
        variables = _variables_to_train(base.backbone, fine_tuning.layers)
    logger.info(
        "Fine-tuning %d of %d backbone variables and the head on %d device(s)%s",
        len(variables), len(base.backbone.trainable_variables), strategy.num_replicas_in_sync,
        " in mixed precision" if mixed_precision else "",
    )  # fmt: skip
    variables += classifier.get_layer("classification_layers").trainable_variables
    loop = TrainingLoop(
        classifier, hyperparameters, str(work_dir), strategy, trainable_variables=variables, scale_loss=mixed_precision
    )
    with devices.mixed_precision(mixed_precision):
        outcome = _fit(loop, classifier, images, fn_args, hyperparameters.seed)

    # No digest: the features that were extracted are not this backbone's, so evaluation has to look at the photos.
    export(ServingModel(classifier, transform_output, class_names, backbone_digest=""), fn_args.serving_model_dir)
    keep_logs(work_dir, fn_args.model_run_dir)
    io_utils.write_string_file(f"{fn_args.model_run_dir}/{FINE_TUNING_FILE}", json.dumps(dataclasses.asdict(outcome)))


def _variables_to_train(backbone: tf.Module, layers: int) -> list[tf.Variable]:
    if not getattr(backbone, "trainable_variables", None):
        raise UserError(
            "this backbone cannot be fine-tuned: it is a SavedModel without trainable variables; leave out "
            "--fine-tune, or choose another --backbone"
        )
    return last_layers(backbone, layers)


def _fit(
    loop: TrainingLoop, classifier: tf.keras.Model, images: ImagePipeline, fn_args: FnArgs, seed: int
) -> FineTuningOutcome:
    """Fine-tunes, and takes it back if no epoch is as good on the validation split as the start was."""
    validation = images.validation_batches(fn_args.eval_files)
    start = classifier.get_weights()
    loss, accuracy = loop.validate(validation)
    logger.info("Before fine-tuning: validation loss %.4f, validation accuracy %.4f", loss, accuracy)
    history = loop.fit(lambda epoch: images.training_batches(fn_args.train_files, seed, epoch), validation)
    best = history[best_epoch(history)]
    kept = (best.validation_accuracy, -best.validation_loss) >= (accuracy, -loss)
    if not kept:
        logger.warning(
            "No epoch of fine-tuning was as good on validation as the start: the model stays as it was before it; "
            "try a lower --fine-tune-learning-rate, or fewer --fine-tune-layers"
        )
        classifier.set_weights(start)
    return FineTuningOutcome(accuracy, best.validation_accuracy, kept)
