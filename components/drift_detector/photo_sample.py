"""A bounded sample of a run's photos, which is compared and kept for later runs."""

import dataclasses
import io
import itertools
import json
from collections import Counter
from collections.abc import Iterator
from typing import Final

import numpy as np
import tensorflow as tf
from PIL import Image
from tfx import types
from tfx.dsl.io import fileio

from components import contracts
from components.storage.examples_io import class_names_of, read_split, split_uris

# More photos would cost time, memory and storage to find shifts that are too small to matter.
MAX_PHOTOS: Final = 2000


@dataclasses.dataclass(frozen=True)
class PhotoSample:
    """A photo set: counts of all its labels, and features and sizes of a sample."""

    class_names: list[str]  # in label order
    class_counts: dict[str, int]  # photos of all splits
    backbone: str  # digest and image size: only features of the same one are comparable
    features: np.ndarray  # float16 [N, D]
    labels: np.ndarray  # int64 [N]
    sizes: np.ndarray  # int64 [M, 2], longer and shorter sides in pixels

    @property
    def total(self) -> int:
        """Photos in all."""
        return sum(self.class_counts.values())

    def write(self, path: str) -> None:
        """Writes a NumPy archive."""
        content = io.BytesIO()
        names = json.dumps([self.class_names, self.class_counts, self.backbone])
        np.savez(content, names=names, features=self.features, labels=self.labels, sizes=self.sizes)
        with fileio.open(path, "wb") as file:
            file.write(content.getvalue())

    @classmethod
    def read(cls, path: str) -> "PhotoSample":
        """Reads what `write` wrote; raises ValueError if it is damaged."""
        with fileio.open(path, "rb") as file:
            content = file.read()
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                class_names, class_counts, backbone = json.loads(str(arrays["names"]))
                columns = (arrays[name] for name in ("features", "labels", "sizes"))
                return cls(class_names, class_counts, backbone, *columns)
        except Exception as error:  # zipfile's and NumPy's errors have no common base
            raise ValueError(f"{path} is damaged ({type(error).__name__}: {error})") from error


def take_sample(examples: types.Artifact, features: types.Artifact) -> PhotoSample:
    """Takes the sample from the start of every split: examples are in the order of a hash of their id."""
    class_counts: Counter[str] = Counter()
    for counts in json.loads(features.get_string_custom_property(contracts.CLASS_COUNTS_PROPERTY)).values():
        class_counts.update(counts)
    vectors, labels = [], []
    for example in _first(features):
        vectors.append(np.array(example[contracts.FEATURE_VECTOR_KEY].float_list.value, np.float16))
        labels.append(example[contracts.LABEL_KEY].int64_list.value[0])
    properties = (contracts.BACKBONE_DIGEST_PROPERTY, contracts.IMAGE_SIZE_PROPERTY)
    sizes = [_size(example[contracts.IMAGE_KEY].bytes_list.value[0]) for example in _first(examples)]
    return PhotoSample(
        class_names=class_names_of(features),
        class_counts=dict(class_counts),
        # The last word keeps samples comparable with those of earlier versions, which had another precision to choose.
        backbone=" ".join([*map(features.get_string_custom_property, properties), "float32"]),
        features=np.stack(vectors),
        labels=np.array(labels, np.int64),
        sizes=np.array(sizes, np.int64),
    )


def _first(examples: types.Artifact) -> Iterator[tf.train.Features]:
    counts: dict[str, int] = json.loads(examples.get_string_custom_property(contracts.SPLIT_COUNTS_PROPERTY))
    uris, total = split_uris(examples), sum(counts.values())
    for split in uris:
        # Rounded up, so that a small split is included.
        wanted = -(-counts[split] * min(MAX_PHOTOS, total) // max(total, 1))
        for content in itertools.islice(read_split(uris, split), wanted):
            yield tf.train.Example.FromString(content).features.feature


def _size(image_bytes: bytes) -> tuple[int, int]:
    """Returns the longer and the shorter side; only EXIF, which is slow to read, tells which one is the width."""
    with Image.open(io.BytesIO(image_bytes)) as image:
        return max(image.size), min(image.size)
