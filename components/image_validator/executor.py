"""Executor of ImageValidator."""

import json
import logging
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_beam_executor
from tfx.dsl.io import fileio
from tfx.types import artifact_utils

from components.common import contracts, examples_io
from components.image_validator.artifacts import SUMMARY_FILE
from components.image_validator.inspection import Limits
from components.image_validator.split_io import Split
from components.image_validator.summary import Summary, check_usable
from components.image_validator.transforms import Options, ValidatePhotos
from components.image_validator.verdicts import CrossSplitDuplicates

logger = logging.getLogger(__name__)


class Executor(base_beam_executor.BaseBeamExecutor):
    """Runs `ValidatePhotos` and stops the run when too much of the data is unusable."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        source = artifact_utils.get_single_instance(input_dict["examples"])
        target = artifact_utils.get_single_instance(output_dict["valid_examples"])
        quarantine = artifact_utils.get_single_instance(output_dict["quarantine"])
        target.split_names = source.split_names
        examples_io.copy_dataset_properties(source, target)
        options = Options(
            limits=Limits(exec_properties["max_bytes"], exec_properties["max_pixels"]),
            cross_split_duplicates=CrossSplitDuplicates(exec_properties["cross_split_duplicates"]),
            near_duplicate_distance=exec_properties["near_duplicate_distance"],
        )
        class_names = examples_io.class_names_of(source)
        with self._make_beam_pipeline() as pipeline:
            _ = pipeline | "ValidatePhotos" >> ValidatePhotos(
                _splits(source, target), quarantine.uri, class_names, options
            )
        with fileio.open(f"{quarantine.uri}/{SUMMARY_FILE}") as file:
            summary = Summary.from_json(file.read())
        check_usable(summary, exec_properties["max_quarantine_share"])
        target.set_string_custom_property(contracts.SPLIT_COUNTS_PROPERTY, json.dumps(summary.split_counts))
        target.set_string_custom_property(contracts.CLASS_COUNTS_PROPERTY, json.dumps(summary.class_counts))
        logger.info("%s", summary.describe())


def _splits(source: types.Artifact, target: types.Artifact) -> list[Split]:
    counts = source.get_string_custom_property(contracts.SPLIT_COUNTS_PROPERTY)
    num_photos = json.loads(counts) if counts else {}
    return [
        Split(
            name,
            input_uri=artifact_utils.get_split_uri([source], name),
            output_uri=artifact_utils.get_split_uri([target], name),
            num_photos=num_photos.get(name, 0),
        )
        for name in examples_io.splits_of(source)
    ]
