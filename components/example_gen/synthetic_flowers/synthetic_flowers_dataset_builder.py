"""The TFDS builder of `synthetic_flowers`."""

import contextlib
import os
import pickle
import re
import subprocess
import sys
from collections.abc import Generator, Iterator
from typing import IO, Any, ClassVar, cast

import tensorflow_datasets as tfds

from components.common.code_digest import code_digest
from components.common.errors import UserError
from components.common.progress import report_progress
from components.example_gen.synthetic_flowers.photo import CLASS_COUNTS, draw_photo

_CONFIG_NAME = re.compile(r"n(\d+)_seed(\d+)")
_DIGEST_DIGITS = 8
_REPORTS = 20
# More processes hardly pay: writing the photos takes a core by then.
_MAX_PROCESSES = 4
_PHOTOS_PER_PROCESS = 100


class SyntheticFlowersConfig(tfds.core.BuilderConfig):
    """Which photos to draw.

    The name, such as `n1600_seed0_1a2b3c4d`, is part of the prepared dataset's path. It ends in a digest of the drawing
    code, so that a change of the code never reuses earlier photos.
    """

    def __init__(self, num_photos: int = 1600, seed: int = 0):
        """Names the configuration after its values. Photo i is the same for every `num_photos`."""
        if num_photos < 1 or seed < 0:
            raise UserError(f"synthetic_flowers: got {num_photos=} and {seed=}; need at least 1 photo and a seed >= 0")
        self.num_photos = num_photos
        self.seed = seed
        name = f"n{num_photos}_seed{seed}_{code_digest(draw_photo.__module__)[:_DIGEST_DIGITS]}"
        super().__init__(name=name, description=f"{num_photos} photos drawn with seed {seed}")


class SyntheticFlowers(tfds.core.GeneratorBasedBuilder):
    """Drawn photos of tf_flowers' five species, with its features, class names and class proportions."""

    VERSION = tfds.core.Version("2.0.0")
    RELEASE_NOTES: ClassVar = {
        "2.0.0": "Drawn pixel by pixel, several times as fast; every photo differs from version 1.0.0."
    }

    def _create_builder_config(self, builder_config: Any, version: Any) -> SyntheticFlowersConfig:
        # TFDS only finds names listed in BUILDER_CONFIGS; these have any number and seed.
        if not isinstance(builder_config, str):
            return builder_config or SyntheticFlowersConfig()
        if not (match := _CONFIG_NAME.fullmatch(builder_config)):
            raise UserError(
                f"synthetic_flowers has no configuration {builder_config!r}; use a name such as n1600_seed0"
            )
        return SyntheticFlowersConfig(num_photos=int(match[1]), seed=int(match[2]))

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
        with contextlib.closing(draw_photos(seed, total)) as photos:
            for index, (species, jpeg) in enumerate(photos):
                yield f"{species}_{index:06d}.jpg", {"image": jpeg, "label": species}
                if (index + 1) % step == 0 or index + 1 == total:
                    report_progress("Drawing synthetic photos", index + 1, total)


def draw_photos(seed: int, total: int) -> Generator[tuple[str, bytes], None, None]:
    """Draws the photos 0 to `total` in order, many of them in several processes."""
    workers = min(os.cpu_count() or 1, _MAX_PROCESSES, total // _PHOTOS_PER_PROCESS)
    if workers <= 1:
        yield from (draw_photo(seed, index) for index in range(total))
        return
    # Not `multiprocessing`: it would import the user's own program once more, or fork TensorFlow's threads.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for first in range(workers):
            command = [sys.executable, "-m", draw_photo.__module__, *map(str, (seed, first, total, workers))]
            processes.append(subprocess.Popen(command, stdout=subprocess.PIPE, env=environment))  # noqa: S603
        for index in range(total):
            yield pickle.load(cast(IO[bytes], processes[index % workers].stdout))  # noqa: S301 (from this code)
    except EOFError:
        raise RuntimeError("a process that draws synthetic photos ended early; its error is above") from None
    finally:
        for process in processes:
            process.kill()
            process.communicate()
