"""Grouping of photos that show the same picture, and what is done about them."""

import hashlib
import random

import apache_beam as beam
import numpy as np
import pytest
import tensorflow as tf
from apache_beam.testing.test_pipeline import TestPipeline
from apache_beam.testing.util import assert_that, equal_to
from photo_files import JPEG, encode, scene
from PIL import ExifTags, Image, ImageOps

from components.contracts.quarantine import Action, DuplicatedPhoto, Reason
from components.image_validator.decisions import decide_on_duplicates, decide_on_photo
from components.image_validator.duplicates import (
    GroupDuplicates,
    PerceptualHashes,
    Photo,
    join_links,
    perceptual_hashes,
)
from components.photos.check import Defect, ImageCheck, check_image


def photo(
    name: str, split: str = "train", *, label: int = 0, content: str = "", phash: int | None = 0, dhash: int = 0
) -> Photo:
    hashes = None if phash is None else PerceptualHashes(phash.to_bytes(8, "big"), dhash.to_bytes(8, "big"))
    digest = hashlib.sha256((content or name).encode()).digest()
    return Photo(split, name.encode(), label, str(label), digest, ImageCheck(None, "JPEG", "RGB"), hashes)


def groups_of(photos: list[Photo], distance: int, expected: list[list[str]]) -> None:
    with TestPipeline() as pipeline:
        groups = pipeline | beam.Create(photos) | GroupDuplicates(distance)
        assert_that(groups | beam.Map(lambda group: [photo.id.decode() for photo in group]), equal_to(expected))


def spread(bits: int) -> int:
    """A hash that differs from 0 in so many bits, far apart."""
    return sum(1 << (index * 64 // bits) for index in range(bits))


@pytest.mark.slow
def test_hashes_within_the_distance_are_grouped() -> None:
    photos = [photo("a"), photo("b", phash=spread(4)), photo("c", phash=spread(5)), photo("d", phash=0xFFFF << 40)]

    groups_of(photos, 4, [["a", "b"]])
    groups_of(photos, 3, [])


@pytest.mark.slow
def test_both_hashes_must_agree() -> None:
    groups_of([photo("a"), photo("b", dhash=spread(8)), photo("c", dhash=spread(64))], 4, [["a", "b"]])


@pytest.mark.slow
def test_chains_are_joined() -> None:
    groups_of([photo("a"), photo("c", phash=0b1111), photo("b", phash=0b11)], 2, [["a", "b", "c"]])


@pytest.mark.slow
def test_distance_zero_and_missing_hashes_group_equal_bytes_only() -> None:
    groups_of([photo("a"), photo("b"), photo("c", content="a")], 0, [["a", "c"]])
    groups_of([photo("a", phash=None), photo("b", phash=None), photo("c", content="a", phash=None)], 4, [["a", "c"]])


@pytest.mark.slow
def test_all_pairs_within_the_distance_are_found() -> None:
    generator = random.Random(3)
    photos = []
    for pair in range(40):
        phash = generator.getrandbits(64)
        flipped = sum(1 << bit for bit in generator.sample(range(64), 6))
        photos += [photo(f"{pair:02d}a", phash=phash), photo(f"{pair:02d}b", phash=phash ^ flipped)]

    groups_of(photos, 6, [[f"{pair:02d}a", f"{pair:02d}b"] for pair in range(40)])


def test_joined_links_do_not_depend_on_their_order() -> None:
    links = [(bytes([one]), bytes([one + 2])) for one in range(20)]
    shuffled = random.Random(0).sample(links, len(links))

    joined = join_links(links)

    assert joined == join_links(shuffled)
    assert set(joined.values()) == {b"\0", b"\1"}


def decisions(group: list[Photo]) -> list[tuple[str, Action, Reason]]:
    return [(entry.id, entry.action, entry.reason) for _, entry in decide_on_duplicates(group)]


def test_copies_of_one_class_and_split_stay() -> None:
    assert decisions([photo("a"), photo("b", content="a")]) == []


def test_copies_are_dropped_from_evaluation() -> None:
    group = [
        photo("a", "train"),
        photo("b", "train"),
        photo("c", "validation", content="a"),
        photo("d", "test"),
    ]

    assert decisions(group) == [
        ("c", Action.DROPPED_FROM_EVALUATION, Reason.CROSS_SPLIT_DUPLICATE),
        ("d", Action.DROPPED_FROM_EVALUATION, Reason.CROSS_SPLIT_NEAR_DUPLICATE),
    ]
    entries = [entry for _, entry in decide_on_duplicates(group)]
    assert [entry.detail for entry in entries] == ["same picture as a in train"] * 2
    assert [entry.duplicate_of for entry in entries] == [DuplicatedPhoto("train", "a", 0)] * 2


def test_test_split_keeps_what_training_does_not_have() -> None:
    group = [photo("a", "validation"), photo("b", "test", content="a")]

    assert decisions(group) == [("a", Action.DROPPED_FROM_EVALUATION, Reason.CROSS_SPLIT_DUPLICATE)]


def test_conflicting_labels_quarantine_all_copies() -> None:
    group = [photo("a", label=1), photo("b", label=2, content="a"), photo("c", "test", label=2)]

    assert decisions(group) == [
        ("a", Action.QUARANTINED, Reason.LABEL_CONFLICT),
        ("b", Action.QUARANTINED, Reason.LABEL_CONFLICT),
        ("c", Action.QUARANTINED, Reason.NEAR_DUPLICATE_LABEL_CONFLICT),
    ]


def test_unusable_photo_is_quarantined() -> None:
    broken = Photo("train", b"a", 0, "0", b"", ImageCheck(Defect(Reason.TRUNCATED, "cut off")))

    assert [(entry.action, entry.reason, entry.detail) for _, entry in decide_on_photo(broken)] == [
        (Action.QUARANTINED, Reason.TRUNCATED, "cut off")
    ]
    assert list(decide_on_photo(photo("b"))) == []


def test_copies_have_close_hashes_and_others_do_not() -> None:
    original = np.asarray(scene(1))
    smaller = np.asarray(scene(1).resize((80, 60)))
    other = np.asarray(scene(2))

    def distance(one: np.ndarray, two: np.ndarray) -> int:
        first, second = (perceptual_hashes(b"", Image.fromarray(pixels)) for pixels in (one, two))
        assert first
        assert second
        return (int.from_bytes(first.phash, "big") ^ int.from_bytes(second.phash, "big")).bit_count()

    assert distance(original, smaller) <= 4
    assert distance(original, other) > 12


@pytest.mark.parametrize("orientation", range(1, 9))
def test_hashes_follow_exif_orientation(orientation: int) -> None:
    stored = scene(7)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    tagged = encode(stored, **JPEG, exif=exif)
    stored.info["exif"] = exif.tobytes()
    one, other = (
        perceptual_hashes(image, Image.fromarray(tf.io.decode_image(image, channels=3).numpy()))
        for image in (tagged, encode(ImageOps.exif_transpose(stored), **JPEG))
    )
    assert one
    assert other
    for first, second, bits in ((one.phash, other.phash, 2), (one.dhash, other.dhash, 4)):
        assert (int.from_bytes(first, "big") ^ int.from_bytes(second, "big")).bit_count() <= bits


def test_photos_without_texture_have_no_hashes() -> None:
    noise = np.random.default_rng(0).integers(98, 103, (200, 200, 3), np.uint8)

    assert perceptual_hashes(b"", Image.new("RGB", (50, 50), (7, 7, 7))) is None
    assert perceptual_hashes(b"", Image.fromarray(noise)) is None
    assert check_image(encode(Image.fromarray(noise))).defect is None
