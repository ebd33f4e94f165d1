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

from components.contracts.quarantine import Action, DuplicatedPhoto, QuarantineEntry, Reason
from components.image_validator.decisions import decide_on_duplicates, decide_on_photo, keep_most
from components.image_validator.duplicates import (
    Duplicate,
    GroupDuplicates,
    PerceptualHashes,
    Photo,
    find_links,
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
        assert_that(groups | beam.Map(lambda group: [photo.id.decode() for photo, _ in group]), equal_to(expected))


def clusters_of(photos: list[Photo], distance: int = 4) -> list[list[Duplicate]]:
    """Does what `GroupDuplicates` does, without Beam and without bands."""
    contents = {(photo.file, *(photo.hashes or (b"", b""))) for photo in photos}
    repeated = [(photo.file, photo.file) for photo in photos if sum(photo.file == other.file for other in photos) > 1]
    places = join_links([*find_links(contents, distance), *repeated])
    found = [
        Duplicate(photo, places[photo.file])
        for photo in sorted(photos, key=lambda photo: photo.key)
        if photo.file in places
    ]
    return [
        [each for each in found if each.place.cluster == cluster] for cluster in {each.place.cluster for each in found}
    ]


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
    files = [bytes([number]) * 32 + bytes(8) for number in range(22)]
    links = [(files[one], files[one + 2]) for one in range(20)]
    shuffled = random.Random(0).sample(links, len(links))

    joined = join_links(links)

    assert joined == join_links(shuffled)
    assert {place.cluster for place in joined.values()} == {files[0], files[1]}


@pytest.mark.slow
def test_workers_place_photos_as_one_process_does() -> None:
    """Bands find the same links, so that both classes have their groups, and every photo its look-alike."""
    generator = random.Random(5)
    photos = [
        photo(f"{number:03d}", label=generator.randrange(3), phash=1 << number % 7 | (number % 5) << 40)
        for number in range(60)
    ]
    expected = sorted(clusters_of(photos), key=lambda cluster: cluster[0].photo.key)

    with TestPipeline() as pipeline:
        clusters = pipeline | beam.Create(photos) | GroupDuplicates(4)
        summed = clusters | beam.Map(
            lambda cluster: [
                (found.photo.id, found.place.cluster, found.place.group, found.place.look_alike is None)
                for found in cluster
            ]
        )
        assert_that(
            summed,
            equal_to([
                [(p.id, place.cluster, place.group, place.look_alike is None) for p, place in cluster]
                for cluster in expected
            ]),
        )  # fmt: skip


def test_as_many_links_as_photos_connect_a_fixed_camera() -> None:
    photos = [photo(f"{number}", label=number % 2, phash=1 << number % 8) for number in range(200)]

    links = list(find_links([(each.file, *each.hashes) for each in photos if each.hashes], 4))

    assert len(links) == 2 * 99 + 200


def entries_of(photos: list[Photo]) -> list[QuarantineEntry]:
    entries = [entry for cluster in clusters_of(photos) for _, entry in decide_on_duplicates(cluster)]
    return sorted(entries, key=lambda entry: entry.id)


def decisions(photos: list[Photo]) -> list[tuple[str, Action, Reason]]:
    return [(entry.id, entry.action, entry.reason) for entry in entries_of(photos)]


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
    entries = entries_of(group)
    assert [entry.detail for entry in entries] == ["same bytes as a in train", "looks like a in train"]
    assert [entry.duplicate_of for entry in entries] == [DuplicatedPhoto("train", "a", 0)] * 2


def test_test_split_keeps_what_training_does_not_have() -> None:
    group = [photo("a", "validation"), photo("b", "test", content="a")]

    assert decisions(group) == [("a", Action.DROPPED_FROM_EVALUATION, Reason.CROSS_SPLIT_DUPLICATE)]


def test_equal_bytes_under_two_labels_are_quarantined_and_look_alikes_reported() -> None:
    group = [photo("a", label=1), photo("b", label=2, content="a"), photo("c", "test", label=2)]

    assert decisions(group) == [
        ("a", Action.QUARANTINED, Reason.LABEL_CONFLICT),
        ("b", Action.QUARANTINED, Reason.LABEL_CONFLICT),
        ("c", Action.REPORTED, Reason.NEAR_DUPLICATE_LABEL_CONFLICT),
    ]
    conflict, _, look_alike = entries_of(group)
    assert (conflict.detail, look_alike.detail) == (
        "same bytes as b in train, class 2",
        "looks like a in train, class 1",
    )
    assert look_alike.duplicate_of == DuplicatedPhoto("train", "a", 1)


def test_chains_do_not_connect_photos_through_another_class() -> None:
    """Of one class, the first and the last are 6 bits apart; the one between them is of another class."""
    chain = [photo("a"), photo("b", label=1, phash=0b111), photo("c", "test", phash=0b111111)]

    assert decisions(chain) == [
        (name, Action.REPORTED, Reason.NEAR_DUPLICATE_LABEL_CONFLICT) for name in ("a", "b", "c")
    ]
    named = [entry.duplicate_of.id for entry in entries_of(chain) if entry.duplicate_of]
    assert named in (["b", "a", "b"], ["b", "c", "b"])
    within = [chain[0], photo("b", phash=0b111), chain[2]]
    assert decisions(within) == [("c", Action.DROPPED_FROM_EVALUATION, Reason.CROSS_SPLIT_NEAR_DUPLICATE)]


def test_copies_in_two_evaluation_splits_leave_one_where_a_look_alike_in_train_is_kept() -> None:
    group = [photo("a", "validation"), photo("b", "test", content="a"), photo("c", "train")]

    assert decisions(group) == [
        ("a", Action.DROPPED_FROM_EVALUATION, Reason.CROSS_SPLIT_DUPLICATE),
        ("b", Action.DROPPED_FROM_EVALUATION, Reason.CROSS_SPLIT_NEAR_DUPLICATE),
    ]


@pytest.mark.parametrize(("near", "action"), [(20, Action.DROPPED_FROM_EVALUATION), (21, Action.REPORTED)])
def test_look_alikes_of_train_are_kept_if_too_many_of_a_class_would_be_dropped(near: int, action: Action) -> None:
    (cluster,) = clusters_of([photo("a"), photo("b", "test"), photo("c", "validation", content="a")])
    copy, look_alike = sorted(decide_on_duplicates(cluster), key=lambda decision: decision[1].reason)
    counts = {("test", 0): 100, ("validation", 0): 1}

    assert keep_most(look_alike, counts, {("test", 0): near})[1].action is action
    assert keep_most(copy, counts, {("test", 0): near})[1].action is Action.DROPPED_FROM_EVALUATION


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
