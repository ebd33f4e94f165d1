"""One synthetic photo: composes a scene around a species and photographs it.

Run as a program with a seed, a first index, an end and a step, it writes the pickled photos to its standard output.
"""

import functools
import io
import math
import pickle
import sys
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from components.example_gen.synthetic_flowers.canvas import (
    Array,
    Canvas,
    Petal,
    Pose,
    Random,
    choose,
    colors,
    gradient,
    mix,
    outline,
    pick,
)

# tf_flowers' class names in its order, and how many photos it has of each.
CLASS_COUNTS: Final = {"dandelion": 898, "daisy": 633, "tulips": 799, "sunflowers": 699, "roses": 641}
_GREENS = colors("4d7a2c", "6b9a3a", "35591f", "88a850", "5a7048", "7a8a3a", "2c4420")
_LEAF = outline(lambda t: np.clip(1.9 * (t + 0.04) ** 0.72 * (1 - t) ** 0.68, 0, 1))
_EGG = outline(lambda t: np.clip(1.32 * (t + 0.1) ** 0.6 * (1 - t**2.4) ** 0.75, 0, 1))
_STRAP = outline(lambda t: np.minimum(1, 0.45 + 1.6 * t) * np.sqrt(1 - t**8))
_SPOON = outline(lambda t: np.sqrt(np.clip(1.15 * t + 0.08, 0, 1) * (1 - t**7)))
_TUFT = outline(lambda t: np.clip(8 * t - 5, 0.1, 1))
_WHITE = np.full(3, 255, np.float32)
_YELLOWS = colors("f7c815", "ffd91f", "f5b50d", "fae04a", "f2a516")
_DAISIES = colors("f6f6f2", "fbfbff", "eeeae0", "f6f6f2", "fbfbff", "f3d9e4", "e9b7d0", "c98bc0", "f2cf4a")
_SUNFLOWERS = colors("f9b90f", "fdc921", "f2a008", "f7d84a", "fdc921", "e8860b", "f3e39a", "b5491a")
_BROWNS = colors("3b2212", "4a2c14", "2a1a12", "5b3a17", "6b5a20", "c98a1b", "7a7a30")
_TULIPS = colors("c8202a", "e23b4e", "e87a9a", "f4c21c", "f08a1e", "7a3a86", "f2efe6", "b8184a", "f5b8c4", "4a1838")
_TULIP_FEET = colors("f3d23a", "f1eedd", "2a2030", "c9cf7a")
_ROSES = colors("b0122a", "d8304a", "e87f98", "f3b9c0", "f3efe4", "f2cf5a", "f0a060", "8a0f24", "f6e3c8", "e0559a")
# Radius in pixels below which a head's finer parts cannot be seen.
_SMALL = 12
_TOOTHED = outline(lambda t: _LEAF * (0.72 + 0.28 * (6 * t % 1)))
_BLADE = outline(lambda t: np.sqrt(1 - t))
_STALK = outline(np.ones_like)
_EVENLY = dict.fromkeys(CLASS_COUNTS, 1)
# Radius of the heads as a share of the picture, and how many there are: close-up, portrait, group and distant field.
_COMPOSITIONS = {(0.36, 0.7, 1, 1): 26, (0.17, 0.36, 1, 1): 38, (0.11, 0.26, 2, 6): 26, (0.04, 0.09, 5, 16): 10}
_PLANTS = {"meadow": 24, "foliage": 18, "horizon": 10}
_BACKDROPS = {**_PLANTS, "bokeh": 16, "sky": 12, "soil": 9, "wall": 11}
_TONES = {
    "sky": colors("7fb2e5", "5a96d8", "c5d8e8", "e8ecee", "9fb8d0", "f0d8b8", "3a6ab0"),
    "soil": colors("6b4f35", "4a3826", "8a7458", "7a6a5a", "55483c", "9a8a74"),
    "wall": colors("d8d0c0", "e8e4dc", "90989c", "c89878", "304050", "1a1a1c", "702a2a", "e0c060", "d090a0"),
    "bokeh": colors("f0e0a0", "a8c870", "ffffff", "f0a0b0", "f2cf40", "80a0d0", "d04040", "c8d8a0", "b080c0"),
}
_OBSTACLES = {"none": 62, "grass": 12, "leaves": 12, "twigs": 8, "insect": 6}
_UP = -math.pi / 2
# Photos are drawn at most this large and enlarged: their long side, and the radius of their heads.
_DRAWN_SIDE = 176
_DRAWN_RADIUS = 48
# Backgrounds are out of focus: they are drawn at half of that size. Grass and leaves are cut from a few thickets.
_THICKET = (240, 88)
_THICKETS = 8
_NOISE = 512


def draw_photo(seed: int, index: int) -> tuple[str, bytes]:
    """Returns class name and JPEG file of photo `index` of the dataset with a seed, the same in any process."""
    rng = np.random.default_rng([seed, index])
    species = choose(rng, CLASS_COUNTS)
    long = int(200 + 201 * rng.random() ** 3)
    short = max(160, int(long * rng.choice([0.66, 0.75, 0.8, 1.0])))
    size = choose(rng, {(long, short): 65, (short, long): 36})
    least, most, few, many = choose(rng, _COMPOSITIONS)
    share = rng.uniform(least, most)
    zoom = min(1, _DRAWN_SIDE / long, _DRAWN_RADIUS / (share * short))
    canvas = Canvas(_backdrop(rng, (round(size[0] * zoom), round(size[1] * zoom))))
    lean = rng.uniform(-np.pi, np.pi) if choose(rng, {True: 8, False: 92}) else 0.3 * rng.standard_normal()
    squash, count = rng.uniform(0.3, 1), int(rng.integers(few, many, endpoint=True))
    spread = 0.15 if count == 1 else 0.34
    for row in np.sort(np.clip(rng.normal(0.48, 0.8 * spread, count), 0.05, 0.95)).tolist():  # Farthest first.
        facing = min(max(squash + 0.12 * rng.standard_normal(), 0.28), 1) ** 0.6
        radius = share * short * zoom * rng.uniform(0.8, 1.2)
        x, y = min(max(rng.normal(0.5, spread), 0), 1) * canvas.width, row * canvas.height
        _plant(canvas, rng, species, Pose(x, y, radius, lean + 0.2 * rng.standard_normal(), facing))
    _obstruct(canvas, rng)
    return species, _photograph(canvas, rng, size)


def _backdrop(rng: Random, size: tuple[int, int]) -> Array:
    """Draws a background out of focus, at times with flowers of any species in it."""
    width, height = size[0] // 2, size[1] // 2
    kind = choose(rng, _BACKDROPS)
    palette = _GREENS if kind in _PLANTS or kind == "bokeh" else _TONES[kind]
    pixels = _blend_corners(rng, (width, height), palette)
    if kind in _PLANTS:
        left = rng.integers(_THICKET[0] - width, endpoint=True)
        thicket = _thicket(kind == "foliage", int(rng.integers(_THICKETS)))[:, -height:, left : left + width]
        pixels *= thicket[:, :, :: rng.choice([-1, 1])] * rng.choice([0.25, 1, 1, 1])
        if kind == "horizon":
            rows = int(height * rng.uniform(0.25, 0.6))
            pixels[:, :rows] = _blend_corners(rng, (width, rows), _TONES["sky"])
    elif kind != "bokeh":
        cells = rng.normal(1, 0.14 if kind == "soil" else rng.uniform(0, 0.08), (rng.integers(3, 40),) * 2)
        pixels *= np.asarray(
            Image.fromarray(np.asarray(cells, np.float32)).resize((width, height), Image.Resampling.BILINEAR)
        )
    canvas = Canvas(pixels)
    for _ in range(rng.integers(6, 20) if kind == "bokeh" else 0):
        x, y = (rng.uniform(0, 1, 2) * (width, height)).tolist()
        place = Pose(x, y, rng.uniform(0.02, 0.1) * max(width, height))
        canvas.disc(place, 1.0, mix(pick(rng, _GREENS), pick(rng, _TONES["bokeh"]), rng.uniform(0.1, 0.9)))
    for _ in range(rng.integers(1, 5) if choose(rng, {True: 16, False: 84}) else 0):
        x, y = (rng.uniform(0, 1, 2) * (width, height)).tolist()
        place = Pose(x, y, rng.uniform(0.03, 0.11) * max(width, height), 0, 0.8)
        _SPECIES[choose(rng, _EVENLY)][0](canvas, place, rng)
    blur = rng.uniform(0.4, 1.5) if choose(rng, {True: 1, False: 1}) else rng.uniform(1.5, 7)
    image = canvas.image().filter(ImageFilter.BoxBlur(blur * max(size) / 280)).resize(size, Image.Resampling.BILINEAR)
    return np.array(np.asarray(image).transpose(2, 0, 1), np.float32, order="C")


def _blend_corners(rng: Random, size: tuple[int, int], palette: Array) -> Array:
    shares = np.asarray(np.clip([[0, 0.2], [0.8, 1]] + 0.25 * rng.standard_normal((2, 2)), 0, 1), np.float32)
    smooth = np.asarray(Image.fromarray(shares).resize(size, Image.Resampling.BILINEAR))
    return mix(pick(rng, palette)[:, None, None], pick(rng, palette)[:, None, None] * np.float32(0.8), smooth)


@functools.cache
def _thicket(leaves: bool, number: int) -> Array:
    """Relative colours of grass or leaves [3, height, width], of which every background takes another window."""
    rng = np.random.default_rng([number, leaves])
    canvas = Canvas(np.full((3, _THICKET[1], _THICKET[0]), 140, np.float32))
    for tone in (80, 110, 140, 165):
        gray = np.full(3, tone, np.float32)
        for _ in range(25 if leaves else 0):
            base, size = rng.uniform(-0.1, 1.1, 2) * _THICKET, rng.uniform(14, 45)
            petal = Petal(
                size, size * rng.uniform(0.12, 0.4), _LEAF, gradient(gray * 0.8, gray + rng.normal(20, 10, 3))
            )
            canvas.petal(tuple(base), rng.uniform(0, 7), petal)
        _grass(canvas, rng, 0 if leaves else 35, 0.75, gray)
    return canvas.pixels.reshape(3, canvas.height, canvas.width) / np.float32(128)


def _grass(canvas: Canvas, rng: Random, count: int, reach: float, tone: Array) -> None:
    """Draws blades of grass on the lower part of the picture, the longest with `reach` as a share of its height."""
    for row in np.sort(rng.uniform(0.6, 1.15, count)).tolist():
        length = reach * rng.uniform(0.3, 1) * canvas.height
        color = np.asarray(tone * rng.normal(1, 0.15) + rng.normal(0, 10, 3), np.float32)
        blade = Petal(length, max(0.7, length * rng.uniform(0.015, 0.04)), _BLADE, color, length * rng.normal(0, 0.2))
        canvas.petal((rng.uniform(-0.1, 1.1) * canvas.width, row * canvas.height), _UP + rng.normal(0, 0.35), blade)


def _leaf(rng: Random, length: float, slenderness: float, shape: Array = _LEAF) -> Petal:
    tone = pick(rng, _GREENS) * np.float32(rng.normal(1, 0.15))
    return Petal(length, length * slenderness, shape, gradient(tone * 0.8, tone * 1.15), length * rng.normal(0, 0.15))


def _plant(canvas: Canvas, rng: Random, species: str, pose: Pose) -> None:
    """Draws a stem down and out of the picture, up to three leaves on it, and the head."""
    draw_head, thickness, slenderness, shape = _SPECIES[species]
    if choose(rng, {True: 80, False: 20}):
        lean = min(max(math.sin(pose.lean), -0.6), 0.6)
        length = max((canvas.height * 1.05 - pose.y) / math.cos(lean), 2 * pose.radius)
        half, bend = thickness * pose.radius * rng.uniform(0.35, 0.65), (lean + rng.normal(0, 0.12)) * length * 0.6
        stem = Petal(length, max(0.7, half), _STALK, pick(rng, _GREENS), bend)
        canvas.petal((pose.x, pose.y), lean - _UP, stem)
        # Now and then the leaves of another species, so that they alone do not tell.
        if choose(rng, {True: 30, False: 70}):
            _, _, slenderness, shape = _SPECIES[choose(rng, _EVENLY)]
        for place in rng.uniform(0.25, 1, rng.integers(0, 4)).tolist():
            along, across = length * place, bend * place**2
            x = pose.x - along * math.sin(lean) - across * math.cos(lean)
            y = pose.y + along * math.cos(lean) - across * math.sin(lean)
            leaf = _leaf(rng, pose.radius * rng.uniform(0.7, 2.2), slenderness * rng.uniform(0.75, 1.25), shape)
            canvas.petal((x, y), _UP + rng.choice([-1, 1]) * rng.uniform(0.3, 1.3), leaf)
    draw_head(canvas, pose, rng)


def _obstruct(canvas: Canvas, rng: Random) -> None:
    """Draws what stands between camera and flowers, in four of ten photos."""
    kind, width, height = choose(rng, _OBSTACLES), canvas.width, canvas.height
    if kind == "grass":
        _grass(canvas, rng, int(rng.integers(4, 18)), 0.95, pick(rng, _GREENS))
    elif kind == "leaves":
        for edge in rng.uniform(0, 2 * np.pi, rng.integers(1, 4)).tolist():
            base = width * (0.5 + 0.75 * math.cos(edge)), height * (0.5 + 0.75 * math.sin(edge))
            leaf = _leaf(rng, rng.uniform(0.4, 0.85) * min(width, height), rng.uniform(0.15, 0.4))
            canvas.petal(base, edge + np.pi + rng.normal(0, 0.4), leaf)
    elif kind == "twigs":
        for row in rng.uniform(-0.1, 1.1, rng.integers(1, 4)).tolist():
            twig = Petal(2 * width, rng.uniform(0.004, 0.02) * width, _STALK, pick(rng, _TONES["soil"]))
            canvas.petal((-10, row * height), rng.normal(0, 0.5), twig)
    elif kind == "insect":
        x, y = rng.uniform(0.25, 0.75, 2) * (width, height)
        size, turn, wing = rng.uniform(0.03, 0.09) * width, rng.uniform(0, 7), pick(rng, _TONES["bokeh"])
        for angle in (0.5, -0.5, 2.6, -2.6):
            canvas.petal((x, y), turn + angle, Petal(1.2 * size, 0.45 * size, _LEAF, wing))
        canvas.disc(Pose(x, y, size, turn, 0.35), 0.75, np.asarray([40, 28, 16], np.float32))


@functools.cache
def _noise() -> npt.NDArray[np.int16]:
    """Noise of which every photo takes another window: new noise costs more than the flower."""
    return np.asarray(
        32 * np.random.default_rng(0).standard_normal((_NOISE + 400, _NOISE + 400, 3), np.float32), np.int16
    )


def _photograph(canvas: Canvas, rng: Random, size: tuple[int, int]) -> bytes:
    """Applies light, white balance, contrast, blur and noise, and encodes as JPEG; one in a hundred is grayscale."""
    vignette, patchy = rng.uniform(0, 0.28), rng.uniform(0.02, 0.16)
    rows, columns = (
        rng.normal(0, patchy, 3) @ np.cos(np.outer([1, 2, 3], np.linspace(0, np.pi, length)))
        - vignette * np.linspace(-1, 1, length) ** 2
        for length in (canvas.height, canvas.width)
    )
    contrast, warmth = rng.uniform(0.7, 1.3), rng.normal(0, 0.08)
    balance = np.array([1 + warmth, 1 + rng.normal(0, 0.03), 1 - warmth]) * contrast * rng.uniform(0.75, 1.35)
    canvas.pixels *= np.asarray(1 + rows[:, None] + columns, np.float32).ravel()
    canvas.pixels *= np.asarray(balance, np.float32)[:, None]
    canvas.pixels += np.float32(118 * (1 - contrast) + rng.normal(6, 14))
    image = canvas.image()
    if image.size != size:
        image = image.resize(size, Image.Resampling.BILINEAR)
    blur = choose(rng, {(0, 0): 51, (0.5, 1.5): 40, (2, 6): 9})
    image = image.filter(ImageFilter.BoxBlur(rng.uniform(*blur) * max(size) / 280))
    top, left = rng.integers(0, _NOISE, 2)
    noise = choose(rng, {(0.5, 4): 85, (6, 18): 15})
    grain = _noise()[top : top + size[1], left : left + size[0]] * np.int16(8 * rng.uniform(*noise)) >> 8
    image = Image.fromarray(np.clip(grain + np.asarray(image), 0, 255).astype(np.uint8))
    buffer = io.BytesIO()
    image.convert(choose(rng, {"RGB": 99, "L": 1})).save(buffer, "JPEG", quality=int(rng.integers(60, 96)))
    return buffer.getvalue()


def _draw_daisy(canvas: Canvas, pose: Pose, rng: Random) -> None:
    """Draws long blunt rays around a yellow dome."""
    color, yellow, disc = pick(rng, _DAISIES, 5), pick(rng, _YELLOWS) * np.float32(0.9), rng.uniform(0.2, 0.38)
    count = int(rng.integers(11, 30))
    for length, shade in ((1.0, 0.85), (rng.uniform(0.84, 0.97), 1.0)):
        tones = gradient(color * rng.uniform(0.75, 0.95), color) * np.float32(shade)
        canvas.whorl(pose, rng, count, Petal(length, 2.6 / count, _SPOON, tones))
    dome = pose.at(-0.1 * (1 - pose.squash), 1, min(1.0, pose.squash + 0.12))
    _florets(canvas, dome, rng, disc, gradient(mix(yellow, _WHITE, 0.2), yellow * 0.7, 3))


def _draw_sunflower(canvas: Canvas, pose: Pose, rng: Random) -> None:
    """Draws pointed rays around a broad dark disc."""
    color, count = pick(rng, _SUNFLOWERS, 7), int(rng.integers(13, 23))
    for length, shade in ((1.0, 0.8), (rng.uniform(0.86, 0.97), 1.0)):
        tones = gradient(color * np.asarray([0.85, 0.68, 0.6], np.float32), color, 0.7) * np.float32(shade)
        canvas.whorl(pose, rng, count, Petal(length, 2.6 / count, _LEAF, tones))
    tones = gradient(mix(pick(rng, _BROWNS), pick(rng, _BROWNS), 0.5), pick(rng, _BROWNS[:5], 8), 0.6)
    _florets(canvas, pose, rng, rng.uniform(0.36, 0.6), tones)


def _draw_dandelion(canvas: Canvas, pose: Pose, rng: Random) -> None:
    """Draws a dense yellow head, or in three of ten cases the white ball of seeds."""
    seeds = choose(rng, {True: 0.3, False: 0.7})
    color = np.float32(rng.uniform(215, 245)) + rng.normal(0, 4, 3) if seeds else pick(rng, _YELLOWS, 7)
    pose = pose.at(0, 1, max(0.9, pose.squash)) if seeds else pose
    for length in (1.0, 0.86, 0.68, 0.46, 0.26)[:: 1 if pose.radius > _SMALL else 2]:
        count = int(rng.integers(24, 36) * (0.4 + 0.6 * length))
        if seeds:
            petal = Petal(length, 0.05, _TUFT, np.asarray(color * (1.1 - 0.3 * length), np.float32))
        else:
            tones = gradient(
                color * np.asarray([0.75, 0.6, 0.3], np.float32),
                color * np.asarray([1, 0.86 + 0.14 * length, 1], np.float32),
            )
            petal = Petal(length, 0.055, _STRAP, tones)
        canvas.whorl(pose.at(-0.18 * (1 - length) * (1 - pose.squash), 1, pose.squash), rng, count, petal)
    if seeds:
        canvas.disc(pose, rng.uniform(0.09, 0.16), pick(rng, _BROWNS))


def _draw_tulip(canvas: Canvas, pose: Pose, rng: Random) -> None:
    """Draws a cup from the side, or in one of eight cases the open flower from above."""
    color, foot = pick(rng, _TULIPS), pick(rng, _TULIP_FEET, 6)
    if choose(rng, {True: 0.13, False: 0.87}):
        for length, shade in ((1.0, 0.8), (0.94, 1.0)):
            canvas.whorl(pose, rng, 3, Petal(length, 0.52, _EGG, gradient(foot, color, 0.5) * np.float32(shade)))
        canvas.whorl(pose, rng, 6, Petal(0.36, 0.05, _LEAF, pick(rng, _BROWNS)))
        return
    cup, openness = pose.at(0.85, 1, 1), rng.uniform(0, 0.2) * rng.choice([1, 1, 2.5])
    length, width = rng.uniform(1.45, 1.75), rng.uniform(0.32, 0.46)
    inner = gradient(foot, color * np.float32(0.74), 0.4)
    # Three petals at the back, two at the sides and one in front.
    for side in (-0.5, 0.5, 0.0):
        _cup_petal(canvas, cup, rng, side * (0.35 + openness), Petal(length, width, _EGG, inner))
    for side in rng.permutation([-1.0, 1.0]):
        petal = Petal(length * 0.97, width, _EGG, gradient(foot, color, 0.4), -side * 0.12)
        _cup_petal(canvas, cup, rng, side * (0.3 + 0.9 * openness), petal)
    front = mix(color, _WHITE, rng.choice([0.05, 0.05, 0.2]))
    _cup_petal(canvas, cup, rng, 0, Petal(length * 0.9, width * 1.15, _EGG, gradient(foot, front, 0.4)))


def _draw_rose(canvas: Canvas, pose: Pose, rng: Random) -> None:
    """Draws the spiral of petals from the front, or in one of four cases a goblet from the side."""
    color, green = pick(rng, _ROSES), pick(rng, _GREENS)
    if choose(rng, {True: 0.75, False: 0.25}):
        canvas.whorl(pose, rng, 5, Petal(rng.uniform(0.8, 1.25), 0.15, _LEAF, green))
        _rosette(canvas, pose.at(0, 1, max(0.62, pose.squash)), rng, color)
        return
    body, width = pose.at(0.8, 1, 1), rng.uniform(0.5, 0.72)
    tones = gradient(color * np.float32(0.7), color, 0.4)
    for side in (-1.0, 1.0):
        _cup_petal(canvas, body, rng, side * 0.42, Petal(1.45, width * 0.8, _EGG, tones, side * 0.22))
    _rosette(canvas, pose.at(-0.42, 1.37 * width, 0.55), rng, color)
    for side in rng.permutation([-1.0, 1.0]):
        _cup_petal(canvas, body, rng, side * 0.24, Petal(1.12, width, _EGG, tones, side * 0.1))
    for lean in (-1.3, -0.7, 0.1, 0.8, 1.4):
        _cup_petal(canvas, body, rng, lean, Petal(0.55, 0.1, _EGG, green))


def _cup_petal(canvas: Canvas, pose: Pose, rng: Random, lean: float, petal: Petal) -> None:
    """Draws a petal that rises from the base of a cup, with lengths in radii of the head."""
    scale, length = pose.radius, pose.radius * petal.length * rng.uniform(0.93, 1.03)
    grown = Petal(length, petal.width * scale, petal.shape, petal.tones, petal.bend * scale)
    canvas.petal((pose.x, pose.y), lean + pose.lean - np.pi / 2 + rng.normal(0, 0.05), grown)


def _florets(canvas: Canvas, pose: Pose, rng: Random, radius: float, tones: Array) -> None:
    """Draws a disc of grainy florets, with colours [3, 256] from its middle to its edge."""
    where, distance, _ = canvas.polar(pose, radius)
    grain = np.float32(1) + np.float32(0.2) * rng.standard_normal(distance.shape, np.float32)
    grain *= np.float32(1) - np.float32(0.4) * (distance > 0.92 * radius)
    color = tones.take((distance * (255 / radius)).astype(np.intp), axis=1, mode="clip")
    canvas.blend(where, (radius - distance) * pose.radius, color * grain)


def _rosette(canvas: Canvas, pose: Pose, rng: Random, color: Array) -> None:
    """Draws a rose's petals, from outside in: each ring shades what is below, has a lit rim and darkens inwards."""
    layers = int(rng.integers(4, 7)) if pose.radius > _SMALL else 3
    deep, turn = color * np.asarray([0.55, 0.36, 0.36], np.float32), rng.uniform(0, 7)
    for depth in np.arange(layers) / layers:
        reach, count = (1 - depth) ** 0.85 + 0.07, max(2, round(5.5 * (1 - depth)))
        where, radius, theta = canvas.polar(pose, 1.12 * reach)
        place = theta * (count / (2 * np.pi)) + turn % count
        index = place.astype(np.intp)
        each = np.asarray(
            [reach * np.clip(rng.normal(1, 0.05, count), 0.9, 1.1), rng.normal(1, 0.08, count)], np.float32
        )
        rim, shade = each[:, np.arange(2 * count + 1) % count].take(index, axis=1)
        side = np.abs(place - index.astype(np.float32) - np.float32(0.5))
        inside = rim * (1 - np.float32(0.9) * side * side * side) - radius
        body = mix(color, deep, 0.4 * depth)
        tones = gradient(body, mix(body, deep, 0.9), 0.8)
        tones[:, :28] = mix(body, _WHITE, 0.3)[:, None]
        canvas.blend(where, np.minimum(7 * inside, -0.1), deep[:, None] * np.float32(0.4))
        step = (inside * (255 / (0.55 * reach + 0.1))).astype(np.intp)
        canvas.blend(where, inside * pose.radius, tones.take(step, axis=1, mode="clip") * shade)
        turn += rng.uniform(0.45, 0.9)


# The head, the stem's width in radii of the head, and a leaf's half-width over its length and its margin.
_SPECIES = {
    "dandelion": (_draw_dandelion, 0.08, 0.13, _TOOTHED),
    "daisy": (_draw_daisy, 0.05, 0.1, _TOOTHED),
    "tulips": (_draw_tulip, 0.13, 0.13, _LEAF),
    "sunflowers": (_draw_sunflower, 0.11, 0.38, _LEAF),
    "roses": (_draw_rose, 0.1, 0.3, _TOOTHED),
}


if __name__ == "__main__":
    first_index, total, step = map(int, sys.argv[2:])
    for each in range(first_index, total, step):
        pickle.dump(draw_photo(int(sys.argv[1]), each), sys.stdout.buffer)
