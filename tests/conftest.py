"""Fixtures that tests of several packages share."""

import io
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import pipeline  # noqa: F401  (chooses Keras 2 before anything imports TensorFlow)


@pytest.fixture(scope="session")
def encode_image() -> Callable[..., bytes]:
    """A function that draws a noisy picture of one colour and encodes it."""

    def encode(
        color: tuple[int, int, int] = (200, 30, 30),
        size: tuple[int, int] = (40, 30),
        file_format: str = "JPEG",
        mode: str = "RGB",
        seed: int = 0,
        **options: bool,
    ) -> bytes:
        rng = np.random.default_rng(seed)
        pixels = np.clip(np.array(color) + rng.normal(0, 12, (size[1], size[0], 3)), 0, 255).astype(np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(pixels).convert(mode).save(buffer, file_format, **options)
        return buffer.getvalue()

    return encode


@pytest.fixture(scope="session")
def tiny_backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SavedModel that honours TF Hub's feature vector contract: 16x16 images to 12 channel statistics."""
    import tensorflow as tf

    class TinyBackbone(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = tf.Variable(tf.ones([12]), name="scale")
            self.variables_to_train = [self.scale]

        @tf.function(input_signature=[tf.TensorSpec([None, 16, 16, 3], tf.float32), tf.TensorSpec([], tf.bool)])
        def __call__(self, images: tf.Tensor, training: tf.Tensor) -> tf.Tensor:
            quarters = tf.reshape(tf.nn.avg_pool2d(images, 8, 8, "VALID"), [-1, 12])
            return quarters * self.scale

    path = tmp_path_factory.mktemp("backbone")
    module = TinyBackbone()
    # What hub.KerasLayer looks for in a reusable SavedModel.
    module.trainable_variables_list = module.variables_to_train
    module.regularization_losses = []
    tf.saved_model.save(module, str(path))
    return path


@pytest.fixture
def photo_folder(tmp_path: Path, encode_image: Callable[..., bytes]) -> Path:
    """A folder of 3 classes with 20 photos each, told apart by their colour."""
    root = tmp_path / "my photos"
    for name, color in {"blue": (40, 60, 200), "green": (40, 190, 60), "red": (200, 40, 50)}.items():
        (root / name).mkdir(parents=True)
        for index in range(20):
            size = (30 + index, 50 - index)
            seed = index + 100 * len(name)
            (root / name / f"{name} {index:02d}.jpg").write_bytes(encode_image(color, size=size, seed=seed))
    return root


@pytest.fixture(scope="session")
def small_photos(tmp_path_factory: pytest.TempPathFactory, encode_image: Callable[..., bytes]) -> Path:
    """A folder of 3 classes with 24 photos each, told apart by their colour: a whole run takes seconds."""
    root = tmp_path_factory.mktemp("photos") / "small photos"
    for offset, (name, color) in enumerate(
        {"blue": (40, 60, 200), "green": (40, 190, 60), "red": (200, 40, 50)}.items()
    ):
        (root / name).mkdir(parents=True)
        for index in range(24):
            photo = encode_image(color, size=(30 + index, 60 - index), seed=100 * offset + index)
            (root / name / f"{name} {index:02d}.jpg").write_bytes(photo)
    return root


@pytest.fixture
def copied_tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the code that digests are made of, to be edited."""
    from components.common import code_digest

    code = Path(code_digest.__file__).parents[2] / "components"
    root = tmp_path / "copied tree"
    shutil.copytree(code, root / "components", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(code_digest, "_ROOT", root)
    return root


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The address of an S3 server on this machine."""
    from loopback_storages import moto_server

    with moto_server() as address:
        yield address


@pytest.fixture
def s3_bucket(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URI of an empty bucket; the environment leads to its server."""
    from loopback_storages import make_bucket

    from components.storage import objects

    variables = {"S3_ENDPOINT": s3_server.removeprefix("http://"), "S3_USE_HTTPS": "0", "AWS_REGION": "us-east-1"}
    keys = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
    for name, value in (variables | keys).items():
        monkeypatch.setenv(name, value)
    objects.client_of.cache_clear()
    yield f"s3://{make_bucket(s3_server)}"
    objects.client_of.cache_clear()
