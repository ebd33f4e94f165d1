"""What a data source is, TFDS' builder or a user's own photos, and what is known of it before it is read.

Imports no TensorFlow, so that this is quick.
"""

import difflib
import re
from dataclasses import dataclass
from typing import Final

import tensorflow_datasets as tfds

from components.common.errors import UserError
from components.contracts import ID_KEY
from components.example_gen.synthetic_flowers.synthetic_flowers_dataset_builder import (
    SyntheticFlowers,
    SyntheticFlowersConfig,
)
from components.photos.photo_set import MIN_CLASSES, describe_left_out, left_out_digest
from components.photos.source import FINGERPRINT_DIGITS, scan_photos
from components.photos.split_assignment import OwnPhotos, deal_photos
from components.photos.splits import DEFAULT_SPLIT_FRACTIONS

SYNTHETIC_FLOWERS: Final = SyntheticFlowers.name
_DATASET_NAME: Final = re.compile(r"\w+(/[\w.+-]+)?(:[\d.*]+)?")
# What datasets of the TFDS catalogue call the name of a photo's file.
_ID_FEATURES: Final = (ID_KEY, "filename", "file_name", "image/filename")


@dataclass(frozen=True)
class DataSource:
    """Where examples come from.

    Attributes:
        dataset: Name of a TFDS dataset, such as "tf_flowers", "cifar10" or "dataset/config"; not used with `photos`.
        photos: Folder or archive of class-named folders, or a manifest; empty for a TFDS dataset.
        data_dir: Where prepared datasets are kept. Empty is TFDS' default: TFDS_DATA_DIR or ~/tensorflow_datasets.
        num_photos: How many photos synthetic_flowers draws; 0 is its default.
        seed: Seed of synthetic_flowers.
        split_method: "count" splits photos class by class; "hash" leaves that to TFX. TFDS datasets are never touched.
        split_fractions: Shares of train, validation and test.
        group_by: A column of a manifest, or a regular expression over paths: photos of one group share a split.
        convert: Whether photos in formats that TensorFlow does not decode become JPEGs.
    """

    dataset: str = ""
    photos: str = ""
    data_dir: str = ""
    num_photos: int = 0
    seed: int = 0
    split_method: str = "count"
    split_fractions: tuple[float, ...] = DEFAULT_SPLIT_FRACTIONS
    group_by: str = ""
    convert: bool = True


@dataclass(frozen=True)
class SourceDescription:
    """What is known of a source before it is prepared.

    Attributes:
        name: The dataset's name; for photos the name of their folder.
        version: The dataset's version; for photos the start of their fingerprint.
        class_names: In label order. Some datasets know their names only once prepared: until then "0", "1", ...
        fingerprint: Changes when the examples may.
        remarks: What a user should know of how the source was understood, a line each.
    """

    name: str
    version: str
    class_names: tuple[str, ...]
    fingerprint: str
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class FeatureKeys:
    """Which features of a dataset are the image, the label and, where it has one, the key of an example."""

    image: str
    label: str
    id: str | None


def find_photos(source: DataSource) -> OwnPhotos:
    """Finds, fingerprints and splits a user's own photos.

    Args:
        source: A source with photos.

    Raises:
        UserError: The photos cannot be used or grouped.
    """
    photo_set = scan_photos(source.photos, source.data_dir or tfds.core.constants.DATA_DIR)
    return deal_photos(photo_set, source.split_fractions if source.split_method == "count" else None, source.group_by)


def make_builder(source: DataSource) -> tfds.core.DatasetBuilder:
    """Makes the TFDS builder of a source; downloads nothing.

    Args:
        source: A source with a dataset.

    Returns:
        The builder, which may or may not be prepared yet.

    Raises:
        UserError: TFDS knows no such dataset.
    """
    data_dir = source.data_dir or None
    name, _, config_name = source.dataset.partition("/")
    if name == SYNTHETIC_FLOWERS:
        number = {"num_photos": source.num_photos} if source.num_photos else {}
        config = config_name or SyntheticFlowersConfig(seed=source.seed, **number)
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


def describe_source(source: DataSource) -> SourceDescription:
    """Tells a source's name, version and classes without downloading or preparing it.

    Args:
        source: The source.

    Returns:
        Its description.

    Raises:
        UserError: See `find_photos`, `make_builder` and `find_feature_keys`; or there are fewer than two classes.
    """
    return describe_photos(find_photos(source)) if source.photos else describe_builder(make_builder(source))


def describe_photos(photos: OwnPhotos) -> SourceDescription:
    """Tells what is known of a user's own photos; see `describe_source`."""
    photo_set = photos.photo_set
    version = photo_set.fingerprint[:FINGERPRINT_DIGITS]
    # What is listed of the examples changes with what is left out.
    fingerprint = "-".join(filter(None, [photo_set.fingerprint, left_out_digest(photo_set.left_out)]))
    remarks = tuple(filter(None, [photo_set.layout, photos.grouping, describe_left_out(photo_set.left_out)]))
    return SourceDescription(photo_set.name, version, photo_set.class_names, fingerprint, remarks)


def describe_builder(builder: tfds.core.DatasetBuilder) -> SourceDescription:
    """Tells the name, version and classes of a builder's dataset; see `describe_source`."""
    class_names = tuple(builder.info.features[find_feature_keys(builder).label].names)
    if len(class_names) < MIN_CLASSES:
        raise UserError(f"dataset {builder.name!r} has {len(class_names)} class(es): at least two are needed")
    return SourceDescription(builder.name, str(builder.version), class_names, builder.info.full_name)


def find_feature_keys(builder: tfds.core.DatasetBuilder) -> FeatureKeys:
    """Finds the image, the label and the key among a dataset's features.

    Args:
        builder: Builder of any TFDS dataset.

    Returns:
        The dataset's supervised keys if they are an Image and a ClassLabel, else its only Image and ClassLabel; and
        the text feature that holds the photo's file name, if there is one.

    Raises:
        UserError: This is no image-classification dataset.
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
