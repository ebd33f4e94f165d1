"""The TFDS builder of `synthetic_flowers`."""

import re
from collections.abc import Iterator
from typing import Any

import tensorflow_datasets as tfds

from components.common.code_digest import code_digest
from components.common.errors import UserError
from components.common.progress import report_progress
from components.example_gen.synthetic_flowers.photo import CLASS_COUNTS, draw_photo

_CONFIG_NAME = re.compile(r"n(\d+)_seed(\d+)")
_DIGEST_DIGITS = 8
_REPORTS = 20


class SyntheticFlowersConfig(tfds.core.BuilderConfig):
    """Which photos to draw.

    The name, such as `n1600_seed0_1a2b3c4d`, is a folder of the prepared data's path. It ends in a digest of the code
    that draws, so that photos of another drawing are never taken for these.
    """

    def __init__(self, num_photos: int = 1600, seed: int = 0):
        """Checks the values and names the configuration after them.

        Args:
            num_photos: How many photos, at least 1. Photo i is the same whatever the number.
            seed: Which series of photos, at least 0.

        Raises:
            UserError: A value is out of range.
        """
        if num_photos < 1 or seed < 0:
            raise UserError(f"synthetic_flowers: got {num_photos=} and {seed=}; need at least 1 photo and a seed >= 0")
        self.num_photos = num_photos
        self.seed = seed
        drawing = code_digest(draw_photo.__module__)[:_DIGEST_DIGITS]
        name = f"n{num_photos}_seed{seed}_{drawing}"
        super().__init__(name=name, description=f"{num_photos} photos of series {seed}")

    @classmethod
    def from_name(cls, name: str) -> "SyntheticFlowersConfig":
        """Reads a configuration's name.

        Args:
            name: "nN_seedS".

        Returns:
            The configuration of that name.

        Raises:
            UserError: The name has another form.
        """
        if not (match := _CONFIG_NAME.fullmatch(name)):
            raise UserError(f"synthetic_flowers: no configuration {name!r}; give one such as n1600_seed0")
        return cls(num_photos=int(match[1]), seed=int(match[2]))


class SyntheticFlowers(tfds.core.GeneratorBasedBuilder):
    """Illustrated photos of tf_flowers' five species: its features and class names, in about its proportions.

    Takes as `config` a `SyntheticFlowersConfig` or its name.
    """

    VERSION = tfds.core.Version("1.0.0")

    def _create_builder_config(self, builder_config: Any, version: Any) -> SyntheticFlowersConfig:
        # TFDS only finds names listed in BUILDER_CONFIGS; these have any number and seed.
        if isinstance(builder_config, str):
            return SyntheticFlowersConfig.from_name(builder_config)
        return builder_config or SyntheticFlowersConfig()

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description="Photos of five flower species, drawn procedurally. Nothing is downloaded.",
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(encoding_format="jpeg"),
                    "label": tfds.features.ClassLabel(names=list(CLASS_COUNTS)),
                }
            ),
            supervised_keys=("image", "label"),
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Any]:
        return {"train": self._generate_examples()}

    def _generate_examples(self) -> Iterator[tuple[str, dict[str, Any]]]:
        total, seed = self.builder_config.num_photos, self.builder_config.seed
        step = max(1, total // _REPORTS)
        for index in range(total):
            species, jpeg = draw_photo(seed, index)
            yield f"{species}_{index:06d}.jpg", {"image": jpeg, "label": species}
            if (index + 1) % step == 0 or index + 1 == total:
                report_progress("Drawing synthetic photos", index + 1, total)
