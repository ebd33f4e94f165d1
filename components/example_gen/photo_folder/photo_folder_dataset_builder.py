"""TFDS builder of a user's own photos."""

import hashlib
import itertools
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import tensorflow_datasets as tfds

from components.common.contracts import ID_KEY, IMAGE_KEY, LABEL_KEY
from components.common.photo_formats.photo_conversion import convert_photo
from components.common.progress import report_progress
from components.example_gen.photo_folder.grouping import deal_groups, find_groups
from components.example_gen.photo_folder.photo_set import PhotoFile, PhotoSet
from components.example_gen.photo_folder.stratification import stratify
from components.example_gen.sources import FINGERPRINT_DIGITS
from components.example_gen.splits import carved_ranges, check_split_fractions

_REPORTS = 20
_GROUPING_DIGITS = 8
_READERS, _READ_AT_ONCE = 4, 32  # threads, and photos held in memory


class PhotoFolder(tfds.core.GeneratorBasedBuilder, skip_registration=True):  # type: ignore[call-arg]
    """A user's photos, with their bytes as stored or converted, their path as key, and the splits that they come in."""

    VERSION = tfds.core.Version("1.2.0")

    def __init__(
        self,
        photo_set: PhotoSet,
        data_dir: str | None = None,
        split_fractions: Sequence[float] | None = None,
        group_by: str = "",
        convert: bool = True,
    ):
        """Creates the builder.

        Args:
            photo_set: What `components.example_gen.sources.scan_photos` found.
            data_dir: Where prepared datasets are kept, in `photo_folder/<fingerprint>/<version>`.
            split_fractions: Shares of train, validation and test: what does not come split is, class by class.
                None leaves it in train.
            convert: Whether photos in formats that TensorFlow does not decode become JPEGs.
            group_by: What groups photos that must not be in several splits; see `grouping.find_groups`.

        Raises:
            UserError: The photos cannot be grouped so.
        """
        self._photo_set = photo_set
        self._split_fractions = split_fractions
        self.grouping = find_groups(photo_set.files, group_by, photo_set.source) if group_by else None
        name = photo_set.fingerprint[:FINGERPRINT_DIGITS]
        if split_fractions:
            name += "_" + "_".join(map(str, check_split_fractions(split_fractions))).replace("/", "of")
        if group_by:
            name += f"_by_{hashlib.sha256(group_by.encode()).hexdigest()[:_GROUPING_DIGITS]}"
        self._convert = convert
        if not convert:
            name += "_unconverted"
        super().__init__(data_dir=data_dir, config=tfds.core.BuilderConfig(name=name))

    @property
    def photo_set(self) -> PhotoSet:
        """The photos, and the class names in label order."""
        return self._photo_set

    def _create_builder_config(self, builder_config: Any, version: Any) -> tfds.core.BuilderConfig:
        # TFDS warns of configurations not listed in BUILDER_CONFIGS.
        return builder_config

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description=f"Photos of {self._photo_set.name}.",
            features=tfds.features.FeaturesDict(
                {
                    IMAGE_KEY: tfds.features.Image(),
                    # Without names, which TFDS keeps one to a line: a folder's name may hold a newline.
                    LABEL_KEY: tfds.features.ClassLabel(num_classes=len(self._photo_set.class_names)),
                    ID_KEY: tfds.features.Text(),
                }
            ),
            supervised_keys=(IMAGE_KEY, LABEL_KEY),
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Any]:
        del dl_manager
        numbers = itertools.count(1)
        return {split: self._generate_examples(photos, numbers) for split, photos in self._photos_by_split().items()}

    def _photos_by_split(self) -> dict[str, list[PhotoFile]]:
        """Returns the photos of each split that has any: TFDS refuses empty ones."""
        splits = self._photo_set.by_split
        if self._split_fractions:
            sizes = {split: len(photos) for split, photos in splits.items()}
            source, ranges = carved_ranges(sizes, self._split_fractions)
            carved = {split: end - start for split, (start, end) in ranges.items()}
            if self.grouping:
                splits |= deal_groups(splits[source], self.grouping.group_of, carved)
            else:
                splits |= stratify(splits[source], carved)
        return {split: photos for split, photos in splits.items() if photos}

    def _generate_examples(
        self, photos: Sequence[PhotoFile], numbers: Iterator[int]
    ) -> Iterator[tuple[bytes, dict[str, Any]]]:
        total = len(self._photo_set.files)
        step = max(1, total // _REPORTS)
        labels = {name: label for label, name in enumerate(self._photo_set.class_names)}
        for photo, image in self._read(photos):
            key = os.fsencode(photo.path)
            # Bytes and paths pass through tfds.features.Image as they are, decodable or not.
            yield key, {IMAGE_KEY: image, LABEL_KEY: labels[photo.class_name], ID_KEY: key}
            index = next(numbers)
            if index % step == 0 or index == total:
                report_progress("Reading photos", index, total)

    def _read(self, photos: Sequence[PhotoFile]) -> Iterator[tuple[PhotoFile, bytes]]:
        """Yields photos with their bytes, in order; reading and conversion overlap."""

        def read(photo: PhotoFile) -> bytes:
            image = photo.file.read_bytes()
            return convert_photo(image) if self._convert else image

        with ThreadPoolExecutor(_READERS) as threads:
            for start in range(0, len(photos), _READ_AT_ONCE):
                some = photos[start : start + _READ_AT_ONCE]
                yield from zip(some, threads.map(read, some), strict=True)
