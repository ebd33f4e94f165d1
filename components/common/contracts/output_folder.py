"""What is where below the output folder of runs."""

from typing import Final

METADATA_FILE: Final = "metadata.sqlite"
LOCK_FILE: Final = ".lock"  # held while a run writes to the folder
PIPELINES_FOLDER: Final = "pipelines"  # artifacts: PIPELINE/NODE/KEY/EXECUTION
SERVING_MODEL_FOLDER: Final = "serving_model"  # pushed models: PIPELINE/VERSION
TRAINING_FOLDER: Final = "training"  # interrupted training: PIPELINE/KEY
REPORTS_FOLDER: Final = "reports"  # PIPELINE/RUN.html
