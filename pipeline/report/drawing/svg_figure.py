"""Matplotlib figures as SVG that takes its colours and fonts from the page, with a title and a description."""

import io
import re
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

# Stand-ins that no figure uses otherwise; each becomes a colour of the style sheet, light or dark.
INK: Final = "#0a0b01"
MUTED: Final = "#0a0b02"
GRID: Final = "#0a0b03"
PAPER: Final = "#0a0b04"
FIRST: Final = "#0a0b05"
SECOND: Final = "#0a0b06"
_VARIABLES: Final = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    GRID: "var(--line)",
    PAPER: "var(--paper)",
    FIRST: "var(--series-1)",
    SECOND: "var(--series-2)",
}
_SVG: Final = "http://www.w3.org/2000/svg"
_XLINK: Final = "http://www.w3.org/1999/xlink"
_COLOR = re.compile("|".join(_VARIABLES))
_REFERENCE = re.compile(r"url\(#([^)]+)\)")
_FONT_FAMILY = re.compile(r"(font: (?:\w+ )*?[\d.]+px) [^;\"]+")

_STYLE: Final = {
    "svg.fonttype": "none",
    "svg.hashsalt": "report",
    "text.parse_math": False,
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": GRID,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "xtick.color": GRID,
    "ytick.color": GRID,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "figure.facecolor": "none",
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "lines.linewidth": 1.8,
    "lines.markersize": 4.5,
}


def draw(name: str, title: str, description: str, size: tuple[float, float], plot: Callable[[Figure], None]) -> Markup:
    """Draws a figure.

    Args:
        name: Prefix of all its ids; unique in the page, of letters and dashes.
        title: What it shows, read by screen readers first.
        description: What is to be seen in it, in a sentence.
        size: Width and height in inches; text is 9 points.
        plot: Fills the figure; uses the colours of this module only.

    Returns:
        An `<svg>` element without width and height: the style sheet sizes it.
    """
    with _quiet_style():
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasSVG(figure)
        plot(figure)
        buffer = io.BytesIO()
        no_metadata = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(buffer, format="svg", metadata=no_metadata)
    root = ET.fromstring(buffer.getvalue())  # noqa: S314 - written by Matplotlib just now
    _use_page_style(root, name)
    _describe(root, name, title, description)
    with _namespaces():
        return Markup(ET.tostring(root, encoding="unicode"))  # noqa: S704 - serialized, so escaped


@contextmanager
def _quiet_style() -> Iterator[None]:
    with mpl.rc_context(_STYLE), warnings.catch_warnings():
        # Class names may hold characters that Matplotlib's fonts lack; the reader's browser has them.
        warnings.filterwarnings("ignore", message="Glyph")
        yield


@contextmanager
def _namespaces() -> Iterator[None]:
    ET.register_namespace("", _SVG)
    ET.register_namespace("xlink", _XLINK)
    yield


def _use_page_style(root: ET.Element, name: str) -> None:
    """Makes ids unique in the page and replaces stand-in colours and font families."""
    for parent in list(root.iter()):
        for child in [c for c in parent if c.tag in (f"{{{_SVG}}}metadata", f"{{{_SVG}}}style")]:
            parent.remove(child)
    for element in root.iter():
        for key, value in element.attrib.items():
            if key == "id":
                element.set(key, f"{name}-{value}")
            elif key == f"{{{_XLINK}}}href" and value.startswith("#"):
                element.set(key, f"#{name}-{value[1:]}")
            else:
                element.set(key, _page_value(value, name))


def _page_value(value: str, name: str) -> str:
    value = _COLOR.sub(lambda match: _VARIABLES[match[0]], value)
    value = _REFERENCE.sub(rf"url(#{name}-\1)", value)
    return _FONT_FAMILY.sub(r"\1 var(--font)", value)


def _describe(root: ET.Element, name: str, title: str, description: str) -> None:
    for attribute in ("width", "height", "version"):
        root.attrib.pop(attribute, None)
    root.set("role", "img")
    root.set("class", "chart")
    root.set("aria-labelledby", f"{name}-title {name}-desc")
    for position, (tag, text) in enumerate((("title", title), ("desc", description))):
        element = ET.Element(f"{{{_SVG}}}{tag}", {"id": f"{name}-{tag}"})
        element.text = text
        root.insert(position, element)
