"""Executor of FeatureExtractor: a Beam pipeline from raw examples to feature examples."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import apache_beam as beam
import numpy as np
import tensorflow as tf
from apache_beam.metrics import Metrics, MetricsFilter
from apache_beam.utils.shared import Shared
from tfx import types
from tfx.dsl.components.base import base_beam_executor
from tfx.types import artifact_utils
from tfx.utils import path_utils

from components import contracts
from components.common.progress import process_name
from components.feature_extractor.extractor import Batch, ExtractionConfig, Extractor
from components.photos.convert import photo_digest
from components.storage.examples_io import (
    ExamplesFile,
    WriteExamples,
    copy_dataset_properties,
    list_files,
    read_file,
    shards_for,
    split_uris,
)
from components.storage.shards import FAST

# Enough to decode the next batch during the backbone's pass over this one, and small in memory.
_BATCHES_PER_ELEMENT: Final = 8
_BACKBONE_PROPERTIES: Final = (
    contracts.BACKBONE_HANDLE_PROPERTY,
    contracts.BACKBONE_DIGEST_PROPERTY,
    contracts.IMAGE_SIZE_PROPERTY,
)
_Artifacts = dict[str, list[types.Artifact]]


class ReadBatchesFn(beam.DoFn):
    """Reads files of examples in batches whose sizes differ by 1 at most.

    Batches depend only on the file, as the last bit of a feature can depend on the number of photos in the batch.
    """

    def __init__(self, uris: Mapping[str, str], batch_size: int):
        """Takes the folder of each split, and the largest number of photos in a batch."""
        self._uris = uris
        self._batch_size = batch_size

    def process(self, file: ExamplesFile) -> Iterator[Batch]:
        split, _ = file
        examples = list(read_file(self._uris, file))
        batches = math.ceil(len(examples) / self._batch_size)
        for batch in range(batches):
            yield split, examples[len(examples) * batch // batches : len(examples) * (batch + 1) // batches]


class ExtractFeaturesFn(beam.DoFn):
    """Turns serialized raw examples into (id, serialized feature example) pairs, one output for each split.

    Feature examples hold the photo's digest instead of the photo.
    """

    def __init__(self, config: ExtractionConfig):
        """Takes what each worker process loads."""
        self._config = config
        self._shared = Shared()
        self._passes = Metrics.counter(type(self), contracts.BACKBONE_PASSES_PROPERTY)

    def setup(self) -> None:
        self._extractor = self._shared.acquire(lambda: Extractor(self._config), tag=self._config.backbone_path)

    def process(self, element: Sequence[Batch]) -> Iterator[Any]:
        extracted = self._extractor.extract(element)
        for (split, _), (raw, features) in zip(element, extracted, strict=True):
            self._passes.inc(len(features))
            ids, labels, images = (raw[key] for key in (contracts.ID_KEY, contracts.LABEL_KEY, contracts.IMAGE_KEY))
            for example_id, label, image, vector in zip(ids, labels, images, features, strict=True):
                yield beam.pvalue.TaggedOutput(split, (example_id, self._serialize(example_id, label, image, vector)))

    def _serialize(self, example_id: bytes, label: int, image: bytes, vector: np.ndarray) -> bytes:
        example = tf.train.Example()
        feature = example.features.feature
        feature[contracts.FEATURE_VECTOR_KEY].float_list.value.extend(vector)
        feature[contracts.LABEL_KEY].int64_list.value.append(int(label))
        feature[contracts.ID_KEY].bytes_list.value.append(example_id)
        feature[contracts.BACKBONE_DIGEST_KEY].bytes_list.value.append(self._config.backbone_digest.encode())
        feature[contracts.PHOTO_DIGEST_KEY].bytes_list.value.append(photo_digest(image).encode())
        return example.SerializeToString(deterministic=True)


class Executor(base_beam_executor.BaseBeamExecutor):
    """Extracts the features of every split."""

    def Do(self, input_dict: _Artifacts, output_dict: _Artifacts, exec_properties: dict[str, Any]) -> None:
        examples = artifact_utils.get_single_instance(input_dict["examples"])
        backbone = artifact_utils.get_single_instance(input_dict["backbone"])
        features = artifact_utils.get_single_instance(output_dict["features"])
        counts = json.loads(examples.get_string_custom_property(contracts.SPLIT_COUNTS_PROPERTY))
        config = ExtractionConfig(
            backbone_path=path_utils.serving_model_path(backbone.uri),
            backbone_digest=backbone.get_string_custom_property(contracts.BACKBONE_DIGEST_PROPERTY),
            transform_graph_path=artifact_utils.get_single_uri(input_dict["transform_graph"]),
            total=sum(counts.values()),
            launcher=process_name(),
        )
        features.split_names = examples.split_names
        sources, targets = split_uris(examples), split_uris(features)
        with self._make_beam_pipeline() as pipeline:
            # All splits in one step: after each step a runner waits for its slowest worker.
            extracted = (
                pipeline
                | "Files" >> beam.Create(list_files(sources))
                | "ReadBatches" >> beam.ParDo(ReadBatchesFn(sources, exec_properties["batch_size"]))
                | "GroupBatches" >> beam.BatchElements(_BATCHES_PER_ELEMENT, _BATCHES_PER_ELEMENT)
                | "ExtractFeatures" >> beam.ParDo(ExtractFeaturesFn(config)).with_outputs(*sources)
            )
            for split, target in targets.items():
                write = WriteExamples(target, shards_for(counts[split]), FAST)
                _ = extracted[split] | f"WriteFeatures[{split}]" >> write
        copy_dataset_properties(examples, features)
        for name in _BACKBONE_PROPERTIES:
            features.set_string_custom_property(name, backbone.get_string_custom_property(name))
        counted = pipeline.result.metrics().query(MetricsFilter().with_name(contracts.BACKBONE_PASSES_PROPERTY))
        passes = sum(counter.result for counter in counted["counters"])
        features.set_int_custom_property(contracts.BACKBONE_PASSES_PROPERTY, passes)
