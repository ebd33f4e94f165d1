"""Drawing surface: shapes in a flower's own coordinates, painted with Pillow.

A shape's coordinates have the flower's centre at (0, 0), its radius at 1 and y pointing down; a `Pose` says where that
lies in the photo.
"""

import dataclasses

import numpy as np
from PIL import Image, ImageDraw

from components.example_gen.synthetic_flowers.palette import Array


@dataclasses.dataclass(frozen=True)
class Pose:
    """Where a flower is and how it faces the camera.

    Attributes:
        x: Centre in pixels from the left.
        y: Centre in pixels from the top.
        radius: Pixels per unit of length.
        lean: Rotation in radians, clockwise.
        squash: Foreshortening of the y axis before the rotation; 1 faces the camera, 0 is seen edge-on.
    """

    x: float
    y: float
    radius: float
    lean: float = 0.0
    squash: float = 1.0

    def apply(self, points: Array) -> Array:
        """Maps points [..., 2] to pixels [..., 2]."""
        cos, sin = np.cos(self.lean) * self.radius, np.sin(self.lean) * self.radius
        return points @ np.array([[cos, sin], [-sin * self.squash, cos * self.squash]]) + (self.x, self.y)

    def at(self, x: float, y: float, scale: float = 1.0, squash: float | None = None) -> "Pose":
        """Returns the pose of a part at (x, y) of this one, `scale` times as large."""
        moved = self.apply(np.array([x, y]))
        squash = self.squash if squash is None else squash
        return Pose(float(moved[0]), float(moved[1]), self.radius * scale, self.lean, squash)


class Canvas:
    """An RGB image and the means to draw flower parts on it."""

    def __init__(self, image: Image.Image):
        self.image = image
        self.width, self.height = image.size
        self._draw = ImageDraw.Draw(image)

    def polygons(self, pose: Pose, points: Array, colors: Array) -> None:
        """Fills polygons [P, K, 2], in order, with colours [P, 3] or [3] of 0 to 255."""
        flat = pose.apply(points).reshape(len(points), 2 * points.shape[1]).tolist()
        for polygon, color in zip(flat, _rgb(colors, len(points)), strict=True):
            self._draw.polygon(polygon, fill=color)

    def lines(self, pose: Pose, points: Array, colors: Array, width: float) -> None:
        """Draws polylines [P, K, 2] of `width` units with colours [P, 3] or [3]."""
        pixels = max(1, round(width * pose.radius))
        flat = pose.apply(points).reshape(len(points), 2 * points.shape[1]).tolist()
        for line, color in zip(flat, _rgb(colors, len(points)), strict=True):
            self._draw.line(line, fill=color, width=pixels)

    def dots(self, pose: Pose, centers: Array, radius: float, colors: Array, *, sides: int) -> None:
        """Fills small regular polygons at centers [P, 2], foreshortened like everything else."""
        angles = np.arange(sides) * (2 * np.pi / sides)
        ring = radius * np.stack([np.cos(angles), np.sin(angles)], axis=-1)
        self.polygons(pose, centers[:, None, :] + ring, colors)

    def disc(self, pose: Pose, radius: float, color: Array) -> None:
        """Fills a disc around the pose's centre."""
        self.dots(pose, np.zeros((1, 2)), radius, color, sides=28)

    def color_at(self, pose: Pose) -> Array:
        """Returns the colour [3] that is now at the pose's centre, or at the nearest edge of the image."""
        x, y = min(max(int(pose.x), 0), self.width - 1), min(max(int(pose.y), 0), self.height - 1)
        return np.array(self.image.getpixel((x, y)), np.float64)


def _rgb(values: Array, count: int) -> list[tuple[int, int, int]]:
    whole = np.clip(np.broadcast_to(values, (count, 3)), 0, 255).astype(int).tolist()
    return [(red, green, blue) for red, green, blue in whole]
