"""What tests of several components share."""

import io
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

import apache_beam as beam
import pytest
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from tensorflow_transform.tf_metadata import dataset_metadata

from components.contracts.schema import build_schema
from components.transform.preprocessing import preprocessing_fn


@pytest.fixture(scope="session")
def write_tgz() -> Callable[[Path, Mapping[str, bytes]], Path]:
    """A function that writes a .tgz of {name: content} and returns its path."""

    def write(archive: Path, files: Mapping[str, bytes]) -> Path:
        with tarfile.open(archive, "w:gz") as tar:
            for name, content in files.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
        return archive

    return write


@pytest.fixture(scope="session")
def transform_graph(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Transform's output for 16x16 images of three classes."""
    path = str(tmp_path_factory.mktemp("transform"))
    metadata = dataset_metadata.DatasetMetadata(build_schema(["blue", "green", "red"]))
    with beam.Pipeline("FnApiRunner") as pipeline, tft_beam.Context(temp_dir=f"{path}/tmp"):
        data = pipeline | beam.Create([{"image": [b""], "label": [0], "id": [b""]}])
        graph = (data, metadata) | tft_beam.AnalyzeDataset(
            lambda inputs: preprocessing_fn(inputs, {"image_size": [16, 16]})
        )
        _ = graph | tft_beam.WriteTransformFn(path)
        _ = metadata | tft_beam.WriteMetadata(f"{path}/{tft.TFTransformOutput.RAW_METADATA_DIR}", pipeline)
    return path
