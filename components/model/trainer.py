"""The Trainer component's `run_fn`, named by its dotted path in `pipeline.create_pipeline`."""

import hashlib
import json
import logging
import shutil
from pathlib import Path
from typing import Any

import tensorflow as tf
import tensorflow_transform as tft
from tfx.components.trainer.fn_args_utils import FnArgs
from tfx.utils import io_utils

from components.constants import IMAGE_KEY, transformed_name
from components.image_schema_gen.schema import class_names_of
from components.model.classifier import build_classifier, build_head
from components.model.hyperparameters import Hyperparameters
from components.model.input_pipeline import count, epoch_batches, feature_dataset, feature_metadata
from components.model.serving import ServingModel, export
from components.model.training_loop import TrainingLoop

logger = logging.getLogger(__name__)


def run_fn(fn_args: FnArgs) -> None:
    """Trains the classification layers on extracted features and exports the whole classifier.

    Args:
        fn_args: TFX's arguments; `base_model` is the backbone. `custom_config` holds `hyperparameters` (see
            `Hyperparameters`) and `work_root`, a local folder where interrupted training is kept.
    """
    hyperparameters = Hyperparameters(**fn_args.custom_config["hyperparameters"])
    class_names = class_names_of(io_utils.SchemaReader().read(fn_args.schema_path))
    work_dir = _work_dir(fn_args)

    feature_size, backbone_digest = feature_metadata(fn_args.train_files)
    train = feature_dataset(fn_args.train_files, feature_size)
    validation = feature_dataset(fn_args.eval_files, feature_size)
    size = count(train)
    logger.info("Training the classification layers on %d feature vectors", size)
    head = build_head(feature_size, len(class_names), hyperparameters.hidden_units, hyperparameters.seed)
    loop = TrainingLoop(head, hyperparameters, str(work_dir))
    loop.fit(
        lambda epoch: epoch_batches(train, size, hyperparameters.batch_size, hyperparameters.seed, epoch),
        validation.batch(256),
    )

    transform_output = tft.TFTransformOutput(fn_args.transform_graph_path)
    image_shape = transform_output.transformed_feature_spec()[transformed_name(IMAGE_KEY)].shape
    classifier = build_classifier(fn_args.base_model, (image_shape[0], image_shape[1]), head)
    export(ServingModel(classifier, transform_output, class_names, backbone_digest), fn_args.serving_model_dir)
    io_utils.copy_dir(str(work_dir / "logs"), fn_args.model_run_dir)
    io_utils.copy_file(str(work_dir / "history.json"), f"{fn_args.model_run_dir}/history.json", overwrite=True)
    shutil.rmtree(work_dir)


def _work_dir(fn_args: FnArgs) -> Path:
    """Returns the folder of this very training: same data, same backbone, same code and hyperparameters."""
    identity: list[Any] = [
        sorted(fn_args.train_files), sorted(fn_args.eval_files), fn_args.transform_graph_path, fn_args.base_model,
        fn_args.custom_config,
    ]  # fmt: skip
    key = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]
    work_dir = Path(fn_args.custom_config["work_root"]) / key
    tf.io.gfile.makedirs(str(work_dir))
    return work_dir
