"""What this machine can do at best, and how near decoding and the backbone come to it.

Started by `benchmarks.run` in a process of its own.
"""

import functools
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click

from components.contracts import TRAIN_SPLIT
from components.example_gen.data_source import find_photos, make_builder
from components.example_gen.options import DataSource
from components.example_gen.tfds_dataset import prepare_dataset
from components.feature_extractor.extractor import load_forward_pass
from components.photos.decode import decode_image

import tensorflow as tf  # isort: skip
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2  # isort: skip

_MATRIX: Final = 4096
_REPEATS: Final = 5
_BATCH_SIZE: Final = 32
_SAMPLE_PHOTOS: Final = 256


def best_seconds(function: Callable[[], Any]) -> float:
    """Returns the shortest of several calls, after one to warm up."""
    function()
    return min(_seconds(function) for _ in range(_REPEATS))


def _seconds(function: Callable[[], Any]) -> float:
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def matmul_gflops() -> float:
    """Returns the rate of a float32 matrix product of 4096 x 4096, in 10^9 operations per second."""
    matrix = tf.random.stateless_normal([_MATRIX, _MATRIX], [0, 0])
    product = tf.function(lambda: tf.reduce_sum(tf.matmul(matrix, matrix)))
    return 2 * _MATRIX**3 / best_seconds(lambda: product().numpy()) / 1e9


def sample_photos(source: DataSource) -> list[bytes]:
    """Returns some of the photos, encoded."""
    import tensorflow_datasets as tfds

    if source.photos:
        return [Path(photo.file).read_bytes() for photo in find_photos(source).splits[TRAIN_SPLIT][:_SAMPLE_PHOTOS]]
    builder = prepare_dataset(make_builder(source))
    dataset = builder.as_dataset(split="train", decoders={"image": tfds.decode.SkipDecoding()})
    return [example["image"].numpy() for example in dataset.take(_SAMPLE_PHOTOS)]


def decode_rates(photos: list[bytes], size: int) -> dict[str, float]:
    """Returns photos per second, on all cores: JPEG decoding alone (the libjpeg-turbo limit), and with the resizing.

    The fraction of JPEGs decoded at half scale is what `tf.io.decode_jpeg(ratio=2)` would give; the pipeline does not
    use it, because it changes the pixels.
    """
    steps: dict[str, Callable[[tf.Tensor], tf.Tensor]] = {
        "decode": lambda photo: tf.io.decode_jpeg(photo, channels=3),
        "decode_and_resize": lambda photo: decode_image(photo, size, size),
        "decode_half_scale_and_resize": lambda photo: _decode_half_scale(photo, size),
    }
    rates = {}
    for name, step in steps.items():
        rates[name] = len(photos) / best_seconds(functools.partial(_run_over, photos, step))
    return rates


def _run_over(photos: list[bytes], step: Callable[[tf.Tensor], tf.Tensor]) -> None:
    dataset = tf.data.Dataset.from_tensor_slices(photos)
    for _ in dataset.map(lambda photo: tf.reduce_max(step(photo)), tf.data.AUTOTUNE):
        pass


def _decode_half_scale(photo: tf.Tensor, size: int) -> tf.Tensor:
    pixels = tf.io.decode_jpeg(photo, channels=3, ratio=2)
    return tf.image.resize(tf.image.convert_image_dtype(pixels, tf.float32), [size, size])


def backbone_rate(forward: Any, photos: list[bytes], size: int) -> float:
    """Returns photos per second of the backbone alone, in batches of 32."""
    images = tf.stack([decode_image(photo, size, size) for photo in photos[:_BATCH_SIZE]])
    return len(images) / best_seconds(lambda: forward(images).numpy())


def gflop_per_photo(forward: Any) -> float:
    """Returns the floating-point operations of one forward pass, in 10^9, as TensorFlow's profiler counts them."""
    size = forward.input_signature[0].shape[1]
    one = tf.function(forward.python_function, autograph=False)
    concrete = one.get_concrete_function(tf.TensorSpec([1, size, size, 3], tf.float32))
    graph = convert_variables_to_constants_v2(concrete, lower_control_flow=False).graph
    options = tf.compat.v1.profiler.ProfileOptionBuilder.float_operation()
    options["output"] = "none"
    return int(tf.compat.v1.profiler.profile(graph, options=options).total_float_ops) / 1e9


@click.command()
@click.option("--source", required=True, help="The DataSource's fields as JSON.")
@click.option("--backbone", required=True, help="SavedModel folder.")
@click.option("--image-size", type=int, required=True, help="Height and width in pixels.")
@click.option("--result", type=click.Path(path_type=Path), required=True, help="JSON file to write.")
def main(source: str, backbone: str, image_size: int, result: Path) -> None:
    """Measures the machine and writes what was found."""
    photos = sample_photos(DataSource(**json.loads(source)))
    forward = load_forward_pass(backbone, (image_size, image_size))
    peak, gflop = matmul_gflops(), gflop_per_photo(forward)
    plain = backbone_rate(forward, photos, image_size)
    found = {
        "photo_bytes": statistics.mean(map(len, photos)),
        "photos_per_second": {**decode_rates(photos, image_size), "backbone": plain},
        "matmul_gflops": peak,
        "backbone_gflop_per_photo": gflop,
        "backbone_fraction_of_peak": plain * gflop / peak,
    }
    result.write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
