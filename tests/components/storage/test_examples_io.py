"""Reading and writing of Examples splits."""

import random
from collections.abc import Iterable, Iterator
from pathlib import Path

import apache_beam as beam
import pytest
import tensorflow as tf
from tfx.types import standard_artifacts

from components import contracts
from components.storage import examples_io
from components.storage.shards import pass_on, read_shard

EXAMPLES = [(f"daisy/{number}.jpg".encode(), bytes([number]) * 100) for number in range(50)]


Folders = dict[str | Path, list[tuple[bytes, bytes]]]


def write(folders: Folders, num_shards: int, *beam_args: str, finish: examples_io.Finish | None = None) -> None:
    """Writes examples to several folders in one pipeline."""
    with beam.Pipeline(argv=["--runner=FnApiRunner", *beam_args]) as pipeline:
        for folder, examples in folders.items():
            sink = examples_io.WriteExamples(str(folder), num_shards, finish=finish)
            _ = pipeline | f"Create[{folder}]" >> beam.Create(examples) | f"Write[{folder}]" >> sink


def read(folder: Path) -> list[bytes]:
    return [serialized for path in sorted(folder.iterdir()) for serialized in read_shard(str(path))]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_round_trip(tmp_path: Path) -> None:
    write({tmp_path / "Split-train": EXAMPLES, tmp_path / "empty": []}, num_shards=3)

    assert sorted(contents(tmp_path / "Split-train")) == [
        f"data_tfrecord-{shard:05d}-of-00003.gz" for shard in range(3)
    ]
    uris = {"train": str(tmp_path / "Split-train")}
    found = [example for file in examples_io.list_files(uris) for example in examples_io.read_file(uris, file)]
    assert sorted(found) == [serialized for _, serialized in EXAMPLES]
    assert len(contents(tmp_path / "empty")) == 3
    assert read(tmp_path / "empty") == []


def test_bytes_do_not_depend_on_order_or_workers(tmp_path: Path) -> None:
    shuffled = random.Random(1).sample(EXAMPLES, len(EXAMPLES))
    write({tmp_path / "one": EXAMPLES}, 2)
    write({tmp_path / "many": shuffled}, 2, "--direct_running_mode=multi_threading", "--direct_num_workers=2")

    assert contents(tmp_path / "one") == contents(tmp_path / "many")


def test_examples_with_the_same_id_are_all_kept_in_the_same_order(tmp_path: Path) -> None:
    first, second = (b"a", b"1"), (b"a", b"2")
    write({tmp_path / "one": [first, second], tmp_path / "other": [second, first]}, 1)

    assert contents(tmp_path / "one") == contents(tmp_path / "other")
    assert read(tmp_path / "one") == [b"1", b"2"]


def test_what_completes_examples_gets_those_of_a_file_in_their_order(tmp_path: Path) -> None:
    def finish(examples: Iterable[bytes]) -> Iterator[bytes]:
        return (example + b"!" for example in examples)

    write({tmp_path / "plain": EXAMPLES}, 2)
    write({tmp_path / "finished": EXAMPLES}, 2, finish=finish)

    for name in contents(tmp_path / "plain"):
        plain, finished = (list(read_shard(str(tmp_path / folder / name))) for folder in ("plain", "finished"))
        assert finished == [example + b"!" for example in plain]


def test_a_local_folder_and_a_bucket_get_the_same_files(tmp_path: Path) -> None:
    """Only in the former do examples wait beside what is written; nothing of that stays."""
    twice = [*EXAMPLES, *((key, content + b"2") for key, content in EXAMPLES)]
    write({tmp_path / "local": twice, f"file://{tmp_path}/remote": twice[::-1]}, 2)

    assert contents(tmp_path / "local") == contents(tmp_path / "remote")


def test_failed_write_leaves_no_temporary_file(tmp_path: Path) -> None:
    in_the_way = tmp_path / "data_tfrecord-00000-of-00001.gz" / "file"
    in_the_way.parent.mkdir()
    in_the_way.touch()

    with pytest.raises(Exception, match=r"data_tfrecord-00000-of-00001\.gz"):
        write({tmp_path: EXAMPLES}, num_shards=1)

    assert not list(tmp_path.rglob("*.tmp"))


def test_number_of_shards() -> None:
    assert [examples_io.shards_for(count) for count in (0, 1, 512, 513, 1835)] == [1, 1, 1, 2, 4]
    assert [examples_io.shards_for(count, 32) for count in (0, 32, 33, 1835, 9999, 10**6)] == [1, 1, 2, 58, 128, 1954]
    with pytest.raises(ValueError, match="num_shards is 0"):
        examples_io.WriteExamples("anywhere", 0)


def test_dataset_properties_are_copied() -> None:
    source, target = standard_artifacts.Examples(), standard_artifacts.Examples()
    source.set_string_custom_property(contracts.DATASET_NAME_PROPERTY, "tf_flowers")
    source.set_string_custom_property(contracts.CLASS_NAMES_PROPERTY, '["daisy", "roses"]')

    examples_io.copy_dataset_properties(source, target)

    assert target.get_string_custom_property(contracts.DATASET_NAME_PROPERTY) == "tf_flowers"
    assert examples_io.class_names_of(target) == ["daisy", "roses"]
    assert not target.has_custom_property(contracts.DATASET_VERSION_PROPERTY)


def test_splits_in_the_artifacts_order() -> None:
    artifact = standard_artifacts.Examples()
    artifact.split_names = '["train", "test"]'
    assert examples_io.splits_of(artifact) == ["train", "test"]


def test_where_there_are_no_links_files_are_copied(tmp_path: Path) -> None:
    folder = "ram://shards"
    (tmp_path / "a.gz").write_bytes(b"examples")
    for _ in range(2):  # A runner may try a second time.
        pass_on(str(tmp_path / "a.gz"), f"{folder}/of/b.gz")
        pass_on(f"{folder}/of/b.gz", str(tmp_path / "c" / "d.gz"))
        pass_on(str(tmp_path / "a.gz"), str(tmp_path / "c" / "e.gz"))
    assert {file.name: file.read_bytes() for file in (tmp_path / "c").iterdir()} == {
        "d.gz": b"examples", "e.gz": b"examples",
    }  # fmt: skip
    assert tf.io.gfile.listdir(f"{folder}/of") == ["b.gz"]
