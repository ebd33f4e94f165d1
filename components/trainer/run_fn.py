"""The Trainer component's `run_fn`, named by its dotted path in `pipeline.training_nodes`."""

import dataclasses
import logging
from pathlib import Path

import tensorflow as tf
import tensorflow_transform as tft
from tfx.components.trainer.fn_args_utils import FnArgs
from tfx.utils import io_utils

from components.contracts.schema import read_class_names
from components.contracts.training import CURVE_FILE
from components.modeling.classifier import build_classifier
from components.modeling.familiarity import MAX_REFERENCES, fit_familiarity
from components.modeling.head import build_head
from components.modeling.hyperparameters import STRONG, Hyperparameters
from components.modeling.input_pipeline import FeaturePipeline
from components.modeling.serving import ServingModel, export, image_size_of
from components.modeling.training_loop import TrainingLoop
from components.modeling.work_dir import remove_work_dir, resumable_work_dir
from components.trainer.component import VALIDATION_PHOTOS
from components.trainer.strong_head import strengthen, training_sample
from components.trainer.visualization import write_visualizations

logger = logging.getLogger(__name__)


def run_fn(fn_args: FnArgs) -> None:
    """Trains the classification layers on extracted features and exports the whole classifier.

    `base_model` is the backbone, `hyperparameters` a Tuner's result, if any. `custom_config` holds `hyperparameters`
    (see `Hyperparameters`), `feature_memory` (bytes of features to keep in memory), `work_root` (a local folder for
    interrupted training) and `validation_photos`.
    """
    hyperparameters = Hyperparameters(**fn_args.custom_config["hyperparameters"])
    if fn_args.hyperparameters:
        hyperparameters = dataclasses.replace(hyperparameters, **fn_args.hyperparameters["values"])
    class_names = read_class_names(fn_args.schema_path)
    work_dir = resumable_work_dir(fn_args, __name__)

    features = FeaturePipeline(fn_args.train_files, fn_args.eval_files, fn_args.custom_config["feature_memory"])
    logger.info("Training the classification layers on %s", features)
    head = train_head(features, hyperparameters, len(class_names), str(work_dir))

    transform_output = tft.TFTransformOutput(fn_args.transform_graph_path)
    classifier = build_classifier(fn_args.base_model, image_size_of(transform_output), head)
    familiarity = fit_familiarity(
        training_sample(features, MAX_REFERENCES, hyperparameters.seed)[0],
        (batch.numpy() for batch, _ in features.validation_batches()),
    )
    model = ServingModel(classifier, transform_output, class_names, features.backbone_digest, familiarity)
    export(model, fn_args.serving_model_dir)
    photos = fn_args.custom_config[VALIDATION_PHOTOS]
    write_visualizations(classifier, fn_args.eval_files, photos, class_names, work_dir / "logs")
    keep_logs(work_dir, fn_args.model_run_dir)


def train_head(
    features: FeaturePipeline, hyperparameters: Hyperparameters, num_classes: int, work_dir: str
) -> tf.keras.Model:
    """Trains the classification layers by a recipe: from features float32 [N, D] to logits float32 [N, C].

    `work_dir` is a local folder for checkpoints and logs.
    """
    head = build_head(features.feature_size, num_classes, hyperparameters.hidden_units, hyperparameters.seed)
    TrainingLoop(head, hyperparameters, work_dir).fit(
        lambda epoch: features.training_batches(hyperparameters.batch_size, hyperparameters.seed, epoch),
        features.validation_batches(),
    )
    if hyperparameters.recipe == STRONG:
        return strengthen(head, features, hyperparameters.seed)
    return head


def keep_logs(work_dir: Path, model_run_dir: str) -> None:
    """Moves TensorBoard's event files and the training curve to the ModelRun artifact's folder, local or remote."""
    io_utils.copy_dir(str(work_dir / "logs"), model_run_dir)
    io_utils.copy_file(str(work_dir / CURVE_FILE), f"{model_run_dir}/{CURVE_FILE}", overwrite=True)
    remove_work_dir(work_dir)
