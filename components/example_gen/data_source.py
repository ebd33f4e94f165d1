"""What is known of a photo source before it is read. Imports no TensorFlow, so that bad input is reported at once."""

import difflib
import re
from dataclasses import dataclass
from typing import Final

import tensorflow_datasets as tfds

from components.common.errors import UserError
from components.common.text import counted
from components.contracts import ID_KEY, SPLITS
from components.example_gen.options import DataSource
from components.example_gen.synthetic_flowers.synthetic_flowers_dataset_builder import (
    SyntheticFlowers,
    SyntheticFlowersConfig,
)
from components.photos.photo_set import MIN_CLASSES, describe_unused, unused_digest
from components.photos.source import FINGERPRINT_DIGITS, scan_photos
from components.photos.split_assignment import SplitPhotos, split_photos

SYNTHETIC_FLOWERS: Final = SyntheticFlowers.name
_DATASET_NAME: Final = re.compile(r"\w+(/[\w.+-]+)?(:[\d.*]+)?")
# Names of the feature that holds the name of a photo's file in datasets of the TFDS catalogue.
_ID_FEATURES: Final = (ID_KEY, "filename", "file_name", "image/filename")


@dataclass(frozen=True)
class SourceDescription:
    """What is known of a source before it is prepared."""

    name: str  # of the dataset or the photos' folder
    version: str  # of the dataset, or the start of the photos' fingerprint
    class_names: tuple[str, ...]  # in label order; "0", "1", ... for datasets that know them only once prepared
    fingerprint: str  # changes when the examples may change
    remarks: tuple[str, ...] = ()  # lines for the user on how the source was interpreted


@dataclass(frozen=True)
class FeatureKeys:
    """The features of a dataset that are the image, the label and, if it has one, the key of an example."""

    image: str
    label: str
    id: str | None


def describe_source(source: DataSource) -> SourceDescription:
    """Describes a source without downloading or preparing it; raises UserError if it cannot be used."""
    return describe_photos(find_photos(source)) if source.photos else describe_builder(make_builder(source))


def find_photos(source: DataSource) -> SplitPhotos:
    """Finds, fingerprints and splits a user's own photos; raises UserError if they cannot be used or grouped."""
    photo_set = scan_photos(source.photos, source.data_dir or tfds.core.constants.DATA_DIR, source.layout)
    fractions = source.split_fractions if source.split_method == "count" else None
    photos = split_photos(photo_set, fractions, source.group_by)
    if fractions and (empty := [split for split in SPLITS if split not in photos.splits]):
        raise UserError(
            f"{counted(len(photo_set.files), 'photo')} in {source.photos!r} are too few to split: none is left for "
            f"{' and '.join(empty)}; add photos"
        )
    return photos


def describe_photos(photos: SplitPhotos) -> SourceDescription:
    """Describes a user's own photos."""
    photo_set = photos.photo_set
    version = photo_set.fingerprint[:FINGERPRINT_DIGITS]
    # The unused files are listed in the examples' artifact.
    fingerprint = "-".join(filter(None, [photo_set.fingerprint, unused_digest(photo_set.unused_files)]))
    lines = [photo_set.layout, *photo_set.remarks, *photos.remarks, describe_unused(photo_set.unused_files)]
    return SourceDescription(photo_set.name, version, photo_set.class_names, fingerprint, tuple(filter(None, lines)))


def make_builder(source: DataSource) -> tfds.core.DatasetBuilder:
    """Makes the TFDS builder of a source with a dataset; downloads nothing, and raises UserError for an unknown one."""
    data_dir = source.data_dir or None
    name, _, config_name = source.dataset.partition("/")
    if name == SYNTHETIC_FLOWERS:
        config = config_name or SyntheticFlowersConfig(num_photos=source.num_photos)
        return SyntheticFlowers(config=config, data_dir=data_dir)
    if not _DATASET_NAME.fullmatch(source.dataset):
        raise UserError(f"expected a dataset such as tf_flowers or name/config:1.0.0, received {source.dataset!r}")
    try:
        return tfds.builder(source.dataset, data_dir=data_dir)
    except tfds.core.DatasetNotFoundError:
        known = {*tfds.list_builders(with_community_datasets=False), SYNTHETIC_FLOWERS}
        close = ", ".join(difflib.get_close_matches(source.dataset, sorted(known))) or "none"
        raise UserError(f"TFDS has no dataset {source.dataset!r}; close matches: {close}") from None
    except (ValueError, AssertionError, RuntimeError, ImportError) as error:
        raise UserError(f"cannot use dataset {source.dataset!r}: {' '.join(str(error).split())[:300]}") from error


def describe_builder(builder: tfds.core.DatasetBuilder) -> SourceDescription:
    """Describes the dataset of a builder, which need not be prepared."""
    class_names = tuple(builder.info.features[find_feature_keys(builder).label].names)
    if len(class_names) < MIN_CLASSES:
        classes = "1 class" if len(class_names) == 1 else f"{len(class_names)} classes"
        raise UserError(f"dataset {builder.name!r} has {classes}: at least two are needed")
    return SourceDescription(builder.name, str(builder.version), class_names, builder.info.full_name)


def find_feature_keys(builder: tfds.core.DatasetBuilder) -> FeatureKeys:
    """Finds the image, the label and the key among a dataset's features.

    Image and label are the supervised keys if they are an Image and a ClassLabel, otherwise the only Image and
    ClassLabel. The key is the text feature that holds the photo's file name. Raises UserError if the dataset is not for
    image classification.
    """
    features = builder.info.features
    named = dict(features.items()) if isinstance(features, tfds.features.FeaturesDict) else {}
    images = [key for key, feature in named.items() if isinstance(feature, tfds.features.Image)]
    labels = [key for key, feature in named.items() if isinstance(feature, tfds.features.ClassLabel)]
    supervised = builder.info.supervised_keys or ()
    images = [key for key in images if key in supervised] or images
    labels = [key for key in labels if key in supervised] or labels
    if len(images) != 1 or len(labels) != 1:
        raise UserError(
            f"dataset {builder.name!r} is not for image classification: expected one Image and one ClassLabel among "
            f"its features, found {', '.join(named) or 'none'}"
        )
    texts = [key for key in _ID_FEATURES if isinstance(named.get(key), tfds.features.Text)]
    return FeatureKeys(image=images[0], label=labels[0], id=texts[0] if texts else None)
