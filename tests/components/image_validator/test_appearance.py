"""Photos that look odd are counted, with examples; ordinary ones are not."""

import io

import numpy as np
import pytest
from photo_files import JPEG, encode
from PIL import Image, ImageFilter

from components.contracts.quarantine import OddPhotos
from components.image_validator.appearance import EXAMPLES_PER_KIND, Kind, describe, measure, summarize
from components.photos.convert import convert

PHOTO = Image.fromarray(np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)).resize(
    (320, 240), Image.Resampling.NEAREST
)


def cut_out(mode: str = "RGBA", alpha: int = 0) -> Image.Image:
    picture = PHOTO.convert("RGBA")
    picture.paste((9, 200, 9, alpha), (0, 0, 320, 60))
    return picture.convert(mode)


def half_gray(share: float) -> Image.Image:
    picture = PHOTO.copy()
    picture.paste((128, 128, 128), (0, round(240 * (1 - share)), 320, 240))
    return picture


def kinds(image: bytes) -> set[str]:
    with Image.open(io.BytesIO(image)) as photo:
        return {kind for kind, _ in measure(image, photo.convert("RGB"))} - {"size"}


@pytest.mark.parametrize(
    ("picture", "options", "expected"),
    [
        (PHOTO, JPEG, set()),
        (PHOTO.convert("L"), JPEG, set()),
        (PHOTO.point(lambda level: level // 16), JPEG, {"dark"}),
        (PHOTO.point(lambda level: 245 + level // 32), {"format": "PNG"}, {"light"}),
        (PHOTO.convert("L").filter(ImageFilter.GaussianBlur(10)), JPEG, {"blurred"}),
        (Image.new("RGB", (200, 200), (90, 120, 90)), JPEG, {"low_contrast"}),
        (PHOTO.resize((320, 100)), JPEG, {"odd_aspect_ratio"}),
        (PHOTO.resize((100, 320)), JPEG, {"odd_aspect_ratio"}),
        (PHOTO.resize((320, 120)), JPEG, set()),
        (cut_out(), {"format": "PNG"}, {"transparent"}),
        (cut_out("P"), {"format": "GIF", "transparency": 0}, {"transparent"}),
        (cut_out(alpha=255), {"format": "PNG"}, set()),
        (half_gray(0.5), JPEG, {"half_empty"}),
        (half_gray(0.1), JPEG, set()),
        (Image.new("RGB", (1, 1), (128, 128, 128)), JPEG, {"low_contrast"}),
    ],
)
def test_each_kind_is_found(picture: Image.Image, options: dict[str, object], expected: set[str]) -> None:
    found = kinds(encode(picture, **options))

    related = {"blurred", "low_contrast"} if expected & {"dark", "light", "low_contrast", "blurred"} else set()
    assert expected <= found <= expected | related


def test_an_interrupted_jpeg_with_an_end_marker_is_half_empty() -> None:
    image = encode(PHOTO, **JPEG)

    assert kinds(image[: len(image) // 2] + b"\xff\xd9") == {"half_empty"}


def test_a_converted_cut_out_is_transparent() -> None:
    assert kinds(convert(encode(cut_out(), format="TIFF"))) == {"transparent"}


def of_sizes(*sizes: int) -> dict[Kind, tuple[int, list[tuple[bytes, tuple[str, str]]]]]:
    return {
        ("size", size): (sizes.count(size), [(bytes([size % 251]), ("train", str(size)))]) for size in sorted({*sizes})
    }


@pytest.mark.parametrize(
    ("sizes", "odd"),
    [
        ([], []),
        ([500] * 20, []),
        ([500] * 20 + [480, 640], []),
        ([500] * 20 + [40, 4000], ["40", "4000"]),
        ([*range(200, 2000, 20)], []),
        ([*range(400, 600, 20), 20], ["20"]),
    ],
)
def test_sizes_far_from_the_others_are_odd(sizes: list[int], odd: list[str]) -> None:
    found = summarize(of_sizes(*sizes)).get("odd_size", OddPhotos(0, []))

    assert found.number == len(odd)
    assert {photo_id for _, photo_id in found.examples} == set(odd)


def test_the_line_counts_and_some_examples_are_kept() -> None:
    many = [(bytes([index]), ("train", f"{index}.jpg")) for index in range(EXAMPLES_PER_KIND)]
    found = summarize(of_sizes(500) | {("half_empty", 0): (1, many[:1]), ("dark", 0): (1200, many)})

    assert describe(found) == "Looks odd: 1,200 dark, 1 half empty (not excluded; see the report)"
    assert found["dark"].examples == [place for _, place in many]
    assert describe({}) == ""
