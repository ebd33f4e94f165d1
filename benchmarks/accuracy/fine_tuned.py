"""One fine-tuning of the benchmark of accuracy: the pipeline's own, on splits of the benchmark's."""

import dataclasses
import tempfile
import time
from typing import Final

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
from tfx.components.trainer.fn_args_utils import FnArgs
from tfx.utils import path_utils

from benchmarks.accuracy.trainings import Outcome, judge, split_labels, write_records
from benchmarks.measuring.run_features import RunFeatures, example_id, read_photos
from components.contracts import SPLITS, TEST_SPLIT, TRAIN_SPLIT, VALIDATION_SPLIT, nodes
from components.modeling.classifier import build_classifier
from components.modeling.hyperparameters import FineTuning, Hyperparameters
from components.modeling.image_pipeline import ImagePipeline
from components.modeling.input_pipeline import FeaturePipeline
from components.modeling.serving import ServingModel, export, image_size_of
from components.trainer.fine_tuning import FineTuner
from components.trainer.run_fn import train_head
from pipeline.records.store import Run

FINE_TUNED: Final = "fine-tuned"


def fine_tune(run: Run, seed: int, features: RunFeatures, fine_tuning: FineTuning) -> tuple[Outcome, np.ndarray]:
    """Trains a reference head and fine-tunes it, as the two Trainers do, and tests the result.

    Args:
        run: Where photos, backbone and Transform's graph are.
        seed: Of the splits and of the training.
        features: Of all its photos.
        fine_tuning: How.

    Returns:
        The outcome, and which of the test photos were right.
    """
    hyperparameters = Hyperparameters(seed=seed)
    photos = read_photos(run)
    splits = dict(zip(SPLITS, split_labels(features.labels, seed), strict=True))
    transform = str(run.folder(nodes.Output(nodes.TRANSFORM, "transform_graph")))
    output = tft.TFTransformOutput(transform)
    with tempfile.TemporaryDirectory(prefix="flowers-fine-tuning-") as folder:
        raw, vectors = (
            {
                split: write_records([records[i] for i in splits[split]], f"{folder}/{name}-{split}.gz")
                for split in SPLITS
            }
            for name, records in (
                ("raw", [photos[example_id(record)] for record in features.serialized]),
                ("features", features.serialized),
            )
        )
        pipeline = FeaturePipeline([vectors[TRAIN_SPLIT]], [vectors[VALIDATION_SPLIT]], 10**9)
        head = train_head(pipeline, hyperparameters, features.num_classes, f"{folder}/head")
        backbone = path_utils.serving_model_path(str(run.folder(nodes.BACKBONE)))
        classifier = build_classifier(backbone, image_size_of(output), head)
        names = [str(label) for label in np.unique(features.labels)]
        export(ServingModel(classifier, output, names, pipeline.backbone_digest), f"{folder}/base_model")
        config = {
            "hyperparameters": dataclasses.asdict(hyperparameters),
            "fine_tuning": dataclasses.asdict(fine_tuning),
        }
        started = time.monotonic()
        fine_tuner = FineTuner(
            FnArgs(
                train_files=[raw[TRAIN_SPLIT]],
                eval_files=[raw[VALIDATION_SPLIT]],
                transform_graph_path=transform,
                base_model=f"{folder}/base_model",
                custom_config={**config, "work_root": f"{folder}/work"},
            )
        )
        fine_tuner.finish(fine_tuner.run().kept)
        seconds = time.monotonic() - started
        test = ImagePipeline(output, hyperparameters.batch_size).validation_batches([raw[TEST_SPLIT]])
        classify = tf.function(lambda images: fine_tuner.classifier(images, training=False))
        logits = np.concatenate([classify(images).numpy() for images, _ in test])
    return judge(FINE_TUNED, seed, logits, features.labels[splits[TEST_SPLIT]], seconds)
