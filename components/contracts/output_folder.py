"""What is where below the output folder of runs, and what ML Metadata knows of it."""

from collections.abc import Collection
from typing import Final

METADATA_FILE: Final = "metadata.sqlite"
LOCK_FILE: Final = ".lock"  # held while a run writes to the folder
LOGS_FOLDER: Final = "logs"
PIPELINES_FOLDER: Final = "pipelines"  # artifacts: PIPELINE/NODE/KEY/EXECUTION
SERVING_MODEL_FOLDER: Final = "serving_model"  # pushed models: PIPELINE/VERSION
FETCHED_MODELS_FOLDER: Final = "fetched_models"  # copies from buckets that `predict --model` was given: DIGEST
TRAINING_FOLDER: Final = "training"  # interrupted training: PIPELINE/KEY
REPORTS_FOLDER: Final = "reports"  # PIPELINE/RUN.html
FINISHED_SUFFIX: Final = ".finished"  # of a training's folder that is about to be removed

# Context type of every execution of a local run; the context's name is the absolute path of the output folder.
OUTPUT_CONTEXT_TYPE: Final = "output_folder"

# Custom properties of artifacts: what was there when their node had finished.
WRITTEN_FILES_PROPERTY: Final = "written_files"  # int
WRITTEN_BYTES_PROPERTY: Final = "written_bytes"  # int
WRITTEN_DIGEST_PROPERTY: Final = "written_digest"  # SHA-256 of the files' names and contents
WRITTEN_STAMP_PROPERTY: Final = "written_stamp"  # digest of their paths, sizes and times


def is_output_folder(folders: Collection[str], files: Collection[str]) -> bool:
    """Tells by the names in a folder whether runs write, or wrote, to it."""
    return METADATA_FILE in files or (LOCK_FILE in files and LOGS_FOLDER in folders)
