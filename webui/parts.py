"""A part of a picture: a box, shown on the picture and cut out of it.

In: a picture and the edges of a box. Out: the picture with all but the box in shade, or what is
inside the box. Knows no Gradio.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

LONGEST_SIDE = 640  # pixels, of the picture that is clicked on
SHADE = 0.35  # how much is left of the light outside the box
MARK = 6  # pixels from the middle of a mark to its edge

Point = tuple[float, float]  # in percent of width and height


@dataclass(frozen=True, slots=True)
class Box:
    """Edges in percent of the picture's width and height; opposite ones may be exchanged."""

    left: float = 0
    top: float = 0
    right: float = 100
    bottom: float = 100

    @property
    def is_whole(self) -> bool:
        return self == Box()

    def within(self, size: tuple[int, int]) -> tuple[int, int, int, int]:
        """In pixels of a picture of this size, and at least one pixel."""
        left, right = _span(self.left, self.right, size[0])
        top, bottom = _span(self.top, self.bottom, size[1])
        return left, top, right, bottom


def between(one: Point, other: Point) -> Box:
    """The box with these two corners."""
    (left, right), (top, bottom) = (sorted(edges) for edges in zip(one, other, strict=True))
    return Box(left, top, right, bottom)


def canvas(picture: "Image") -> "Image":
    """Small enough to be sent again and again, and large enough to fill its place on the page."""
    from PIL import ImageOps

    return ImageOps.contain(picture, (LONGEST_SIDE, LONGEST_SIDE))


def marked(picture: "Image", box: Box, corner: Point | None = None) -> "Image":
    """The picture with all but the box in shade, and a mark on a first corner."""
    from PIL import ImageDraw

    edges = box.within(picture.size)
    shown = picture.point([round(value * SHADE) for value in range(256)] * len(picture.getbands()))
    shown.paste(picture.crop(edges), edges)
    if corner:
        x, y = (share / 100 * side for share, side in zip(corner, picture.size, strict=True))
        circle = (x - MARK, y - MARK, x + MARK, y + MARK)
        ImageDraw.Draw(shown).ellipse(circle, fill="white", outline="black", width=2)
    return shown


def _span(one: float, other: float, side: int) -> tuple[int, int]:
    first, last = sorted((one, other))
    start = min(round(first / 100 * side), side - 1)
    return start, max(round(last / 100 * side), start + 1)
