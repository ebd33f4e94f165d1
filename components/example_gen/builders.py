"""TFDS builders for every data source: made, described, prepared.

Called by the pipeline (`describe_source`, to know the classes and the version before anything runs) and by the
TfdsExampleGen executor.
"""

import contextlib
import difflib
import logging
import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import tensorflow_datasets as tfds

from components.constants import ID_KEY
from components.errors import UserError
from components.example_gen.downloads import download_and_prepare
from components.example_gen.locks import exclusive_lock
from components.example_gen.photo_folder import photo_folder_dataset_builder
from components.example_gen.sources import MIN_CLASSES, scan_photos

logger = logging.getLogger(__name__)

SYNTHETIC_FLOWERS: Final = "synthetic_flowers"
_OWN_DATASETS = (SYNTHETIC_FLOWERS, photo_folder_dataset_builder.Builder.name)
_STALE_SECONDS: Final = 24 * 3600
FINGERPRINT_DIGITS: Final = 16
_DATASET_NAME: Final = re.compile(r"\w+(/[\w.+-]+)?(:[\d.*]+)?")
# What datasets of the TFDS catalogue call the name of a photo's file.
_ID_FEATURES: Final = (ID_KEY, "filename", "file_name", "image/filename")


@dataclass(frozen=True)
class DataSource:
    """Where examples come from.

    Attributes:
        dataset: Name of a TFDS dataset, "tf_flowers", "cifar10" or "dataset/config"; not used with `photos`.
        photos: Folder or archive of class-named folders; empty for a TFDS dataset.
        data_dir: Where prepared datasets are kept. Empty is TFDS' default: TFDS_DATA_DIR or ~/tensorflow_datasets.
        num_photos: How many photos synthetic_flowers draws; 0 is its default.
        seed: Seed of synthetic_flowers.
    """

    dataset: str = ""
    photos: str = ""
    data_dir: str = ""
    num_photos: int = 0
    seed: int = 0


@dataclass(frozen=True)
class SourceDescription:
    """What is known of a source before it is prepared.

    Attributes:
        name: The dataset's name; for photos the name of their folder.
        version: The dataset's version; for photos the start of their fingerprint.
        class_names: In label order. Some datasets know their names only once prepared: until then "0", "1", ...
        fingerprint: Changes when the examples may.
    """

    name: str
    version: str
    class_names: tuple[str, ...]
    fingerprint: str


@dataclass(frozen=True)
class FeatureKeys:
    """Which features of a dataset are the image, the label and, where it has one, the key of an example."""

    image: str
    label: str
    id: str | None


def make_builder(source: DataSource) -> tfds.core.DatasetBuilder:
    """Makes the TFDS builder of a source; downloads nothing.

    Args:
        source: The source. Its photos are scanned and fingerprinted here.

    Returns:
        The builder, which may or may not be prepared yet.

    Raises:
        UserError: TFDS knows no such dataset, or the photos cannot be used.
    """
    data_dir = source.data_dir or None
    if source.photos:
        photo_set = scan_photos(source.photos, data_dir or tfds.core.constants.DATA_DIR)
        return photo_folder_dataset_builder.Builder(photo_set, data_dir)
    if source.dataset == SYNTHETIC_FLOWERS:
        return _synthetic_flowers_builder(source)
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
        UserError: See `make_builder` and `find_feature_keys`; or there are fewer than two classes.
    """
    return describe_builder(make_builder(source))


def describe_builder(builder: tfds.core.DatasetBuilder) -> SourceDescription:
    """Tells the name, version and classes of a builder's dataset; see `describe_source`."""
    if isinstance(builder, photo_folder_dataset_builder.Builder):
        photo_set = builder.photo_set
        version = photo_set.fingerprint[:FINGERPRINT_DIGITS]
        return SourceDescription(photo_set.name, version, photo_set.class_names, photo_set.fingerprint)
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


def prepare_dataset(builder: tfds.core.DatasetBuilder) -> tfds.core.DatasetBuilder:
    """Downloads and prepares a dataset unless a complete copy is there.

    Args:
        builder: From `make_builder`.

    Returns:
        A builder that reads the prepared dataset and can be sent to Beam workers: it needs nothing but the files.

    Raises:
        UserError: A download failed, the disk is full, or the folder cannot be written.
    """
    import tensorflow as tf  # Six seconds that `describe_source` does without.

    tfds.disable_progress_bar()
    root = str(builder.data_dir_root)
    lock = contextlib.nullcontext() if "://" in root else exclusive_lock(Path(root) / f"{builder.name}.lock")
    try:
        with lock:
            if not _is_complete(builder):
                _prepare(builder)
    except (OSError, tf.errors.OpError) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())[:300]
        raise UserError(f"cannot prepare {builder.name} in {root!r}: {reason}") from error
    return tfds.builder_from_directory(builder.data_dir)


def _prepare(builder: tfds.core.DatasetBuilder) -> None:
    logger.info("Preparing %s %s in %s", builder.name, builder.version, builder.data_dir)
    is_own = builder.name in _OWN_DATASETS
    # Under the lock what an own builder left unfinished is nobody's; a hosted dataset may be another program's.
    _remove_unfinished(Path(builder.data_dir).parent, 0 if is_own else _STALE_SECONDS)
    config = tfds.download.DownloadConfig(
        # Files of an incomplete copy are written again; complete downloads are kept.
        download_mode=tfds.download.GenerateMode.REUSE_CACHE_IF_EXISTS,
        try_download_gcs=False,
    )
    # TFDS prints these two messages past every logger.
    builder._log_download_bytes = builder._log_download_done = lambda: None
    if is_own:
        builder.download_and_prepare(download_config=config)
    else:
        download_and_prepare(builder, config)


def _is_complete(builder: tfds.core.DatasetBuilder) -> bool:
    splits = builder.info.splits.values()
    return builder.is_prepared() and all(path.exists() for split in splits for path in split.filepaths)


def _remove_unfinished(folder: Path, min_age_seconds: float) -> None:
    """Removes what killed preparations left: TFDS writes into `incomplete.<random>_<version>` and renames that."""
    for leftover in folder.glob("incomplete.*"):
        if time.time() - leftover.stat().st_mtime >= min_age_seconds:
            shutil.rmtree(leftover, ignore_errors=True)


def _synthetic_flowers_builder(source: DataSource) -> tfds.core.DatasetBuilder:
    raise NotImplementedError(source)
