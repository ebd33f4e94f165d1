"""Facts that writers and readers share: feature keys, split names and properties of artifacts.

Facts that only some components share have modules of their own, so that an edit there makes only those run again.
"""

from typing import Final

IMAGE_KEY: Final = "image"
LABEL_KEY: Final = "label"
ID_KEY: Final = "id"
FEATURE_VECTOR_KEY: Final = "feature_vector"
BACKBONE_DIGEST_KEY: Final = "backbone_digest"
PHOTO_DIGEST_KEY: Final = "photo_digest"  # SHA-256 of the file, hexadecimal; of a converted photo, of its source

TRAIN_SPLIT: Final = "train"
VALIDATION_SPLIT: Final = "validation"
TEST_SPLIT: Final = "test"
SPLITS: Final = (TRAIN_SPLIT, VALIDATION_SPLIT, TEST_SPLIT)

# Custom properties of Examples artifacts; the JSON ones hold a list or an object as text.
DATASET_NAME_PROPERTY: Final = "dataset_name"
DATASET_VERSION_PROPERTY: Final = "dataset_version"
DATASET_LICENSE_PROPERTY: Final = "dataset_license"  # only where TFDS knows it
CLASS_NAMES_PROPERTY: Final = "class_names"  # JSON list of strings, in label order
SPLIT_COUNTS_PROPERTY: Final = "split_counts"  # JSON {split: count}
CLASS_COUNTS_PROPERTY: Final = "class_counts"  # JSON {split: {class name: count}}

# Custom properties of backbone Model artifacts and of the feature Examples made with one.
BACKBONE_HANDLE_PROPERTY: Final = "backbone_handle"
BACKBONE_DIGEST_PROPERTY: Final = "backbone_digest"
IMAGE_SIZE_PROPERTY: Final = "image_size"  # JSON [height, width] in pixels
FEATURE_SIZE_PROPERTY: Final = "feature_size"  # int
BACKBONE_LICENSE_PROPERTY: Final = "backbone_license"  # SPDX identifier, or UNKNOWN
BACKBONE_SOURCE_PROPERTY: Final = "backbone_source"  # source of the weights, in words, or UNKNOWN
UNKNOWN: Final = "unknown"
# Custom property of the feature Examples alone: photos that went through the backbone, int.
BACKBONE_PASSES_PROPERTY: Final = "backbone_passes"

# Execution parameter of every component: the digest of the code that it runs.
CODE_DIGEST_PARAMETER: Final = "code_digest"


def transformed_name(key: str) -> str:
    """Returns the name of a raw feature after Transform, TFX's `_xf` convention."""
    return f"{key}_xf"
