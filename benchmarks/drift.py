"""`python -m benchmarks.drift --photos ARCHIVE`: false alarms and power of DriftDetector's comparison on real photos.

Two halves of the photos play the run and the baseline: as they are, where nothing has moved, and with one of them
changed. Seeds draw the halves.
"""

import io
import json
import sys
import tarfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import components  # noqa: F401  (chooses Keras 2 before TensorFlow is imported)

# isort: split
import click
import numpy as np
import tensorflow as tf
from PIL import Image, ImageEnhance, ImageFilter
from rich.console import Console
from rich.table import Table

from benchmarks.run import describe_machine
from components.drift_detector.comparison import compare_samples
from components.drift_detector.photo_sample import MAX_PHOTOS, PhotoSample
from components.feature_extractor.extractor import load_forward_pass
from components.modeling.backbones.loading import prepare_backbone

_RESULTS: Final = Path(__file__).parent / "results" / "drift.json"
_BACKBONE: Final = "efficientnet_lite0"
_BATCH: Final = 32
_PLAIN: Final = "as they are"
# A third of the light gone, and a blur of one pixel.
_CHANGES: Final[dict[str, Callable[[Image.Image], Image.Image]]] = {
    _PLAIN: lambda image: image,
    "darker": lambda image: ImageEnhance.Brightness(image).enhance(0.7),
    "blurred": lambda image: image.filter(ImageFilter.GaussianBlur(1)),
}
_SHARE: Final = 0.2  # of the photos that change in "20% blurred"

Half = tuple[np.ndarray, np.ndarray]  # features float32 [N, D], labels int64 [N]


def read_photos(archive: Path) -> tuple[list[bytes], list[str]]:
    """Returns the photos of a .tgz of class folders, and the names of their folders."""
    photos, names = [], []
    with tarfile.open(archive) as files:
        for member in files:
            if member.name.lower().endswith((".jpg", ".jpeg")) and (content := files.extractfile(member)):
                photos.append(content.read())
                names.append(Path(member.name).parent.name)
    return photos, names


def extract_features(photos: list[bytes]) -> dict[str, np.ndarray]:
    """Runs photos through the embedded backbone, once for every change."""
    path, info = prepare_backbone(_BACKBONE)
    forward = load_forward_pass(path, info.image_size)
    height, width = info.image_size
    features: dict[str, list[np.ndarray]] = defaultdict(list)
    for start in range(0, len(photos), _BATCH):
        images = [Image.open(io.BytesIO(photo)).convert("RGB") for photo in photos[start : start + _BATCH]]
        for change, apply in _CHANGES.items():
            resized = [np.asarray(apply(image).resize((width, height)), np.float32) / 255 for image in images]
            features[change].append(forward(tf.constant(np.stack(resized))).numpy())
    return {change: np.concatenate(batches) for change, batches in features.items()}


def make_cases(
    features: dict[str, np.ndarray], labels: np.ndarray, seed: int, size: int
) -> Iterator[tuple[str, Half, Half]]:
    """Yields the name of a case, the baseline's photos and the run's."""
    random = np.random.default_rng(seed)
    first, second = random.permutation(len(labels))[: 2 * size].reshape(2, size)
    plain = features[_PLAIN]
    before, now = (plain[first], labels[first]), (plain[second], labels[second])
    yield _PLAIN, before, now
    for change in ("darker", "blurred"):
        yield f"all {change}", before, (features[change][second], labels[second])
    some = random.random(size) < _SHARE
    yield "20% blurred", before, (np.where(some[:, None], features["blurred"][second], plain[second]), labels[second])
    # One class, another one for every seed.
    chosen, other = seed % (labels.max() + 1), (seed + 1) % (labels.max() + 1)
    is_chosen = labels[second] == chosen
    darker = np.where(is_chosen[:, None], features["darker"][second], plain[second])
    yield "one class darker", before, (darker, labels[second])
    foreign = plain[second].copy()
    foreign[is_chosen] = random.choice(plain[labels == other], is_chosen.sum())
    yield "one class replaced by another", before, (foreign, labels[second])
    # Half of the class is left out of the baseline: in the run it is twice as large.
    kept = (labels[first] != chosen) | (np.arange(size) % 2 == 0)
    yield "one class doubled", (plain[first][kept], labels[first][kept]), now


def take(half: Half, names: list[str]) -> PhotoSample:
    """Returns the sample that DriftDetector would take; sizes are those of one camera."""
    features, labels = half
    counts = {name: int(np.sum(labels == index)) for index, name in enumerate(names)}
    features, labels = features[:MAX_PHOTOS].astype(np.float16), labels[:MAX_PHOTOS]
    return PhotoSample(names, counts, _BACKBONE, features, labels, np.full((len(labels), 2), 227))


@click.command()
@click.option("--photos", required=True, metavar="ARCHIVE", type=click.Path(exists=True, path_type=Path))
@click.option("--seeds", default=20, show_default=True, type=click.IntRange(min=1), help="How many halves are drawn.")
@click.option("--to", default=_RESULTS, type=click.Path(path_type=Path), help="Where the JSON goes.")
def main(photos: Path, seeds: int, to: Path) -> None:
    """Compares halves of real photos, changed and unchanged; prints how often they count as moved, and writes JSON."""
    contents, folders = read_photos(photos)
    names = sorted(set(folders))
    labels = np.array([names.index(folder) for folder in folders])
    features = extract_features(contents)
    sizes = sorted({min(200, len(labels) // 2), len(labels) // 2})
    found: dict[str, dict[str, list[bool]]] = defaultdict(lambda: defaultdict(list))
    started = time.monotonic()
    for size in sizes:
        for seed in range(seeds):
            for case, before, now in make_cases(features, labels, seed, size):
                report = compare_samples(take(before, names), take(now, names))
                for shift in report.shifts:
                    found[f"{size} photos each, {case}"][shift.what].append(shift.moved)
    comparisons = sum(len(parts["labels"]) for parts in found.values())
    rates = {case: {what: float(np.mean(moved)) for what, moved in parts.items()} for case, parts in found.items()}
    seconds = round((time.monotonic() - started) / comparisons, 2)
    machine = describe_machine()
    results = {"photos": len(labels), "seeds": seeds, "machine": machine, "seconds": seconds, "moved": rates}
    to.parent.mkdir(parents=True, exist_ok=True)
    to.write_text(json.dumps(results, indent=2) + "\n")
    table = Table("photos", "labels moved", "features moved")
    for case, rate in rates.items():
        table.add_row(case, f"{rate['labels']:.0%}", f"{rate['features']:.0%}")
    Console(highlight=False, width=None if sys.stdout.isatty() else 120).print(table)


if __name__ == "__main__":
    main()
