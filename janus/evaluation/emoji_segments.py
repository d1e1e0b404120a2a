"""Where the pieces of a picture are: boxes of connected regions.

Enters: a mask of the pixels that differ from the background. Leaves: `Box`es in pixels, and
ways to cut and join them. It does not know what the pieces show.
"""

from dataclasses import dataclass

import numpy as np

SPECK_SHARE = 0.004  # of the canvas area; smaller regions are dropped
TOUCHING = 2  # boxes with fewer pixels than this between them are one piece


@dataclass(frozen=True, slots=True)
class Box:
    """Pixel bounds, the lower right ones exclusive."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        """Columns covered."""
        return self.right - self.left

    @property
    def height(self) -> int:
        """Rows covered."""
        return self.bottom - self.top

    @property
    def centre(self) -> tuple[float, float]:
        """x and y, in pixels."""
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2

    def is_near(self, other: "Box", distance: float) -> bool:
        """Whether fewer than `distance` pixels lie between the boxes, along both axes."""
        return (
            max(self.left, other.left) - min(self.right, other.right) < distance
            and max(self.top, other.top) - min(self.bottom, other.bottom) < distance
        )

    def union(self, other: "Box") -> "Box":
        """The smallest box around both."""
        return Box(
            min(self.left, other.left),
            min(self.top, other.top),
            max(self.right, other.right),
            max(self.bottom, other.bottom),
        )


def find_boxes(is_drawn: np.ndarray) -> list[Box]:
    """Boxes of the connected regions; fragments whose boxes nearly touch are one piece."""
    labels = _label(is_drawn)
    boxes: list[Box] = []
    areas: list[int] = []
    for label in np.unique(labels[is_drawn]):
        region = labels == label
        boxes, areas = _merge(boxes, areas, _bounds(region), int(region.sum()))
    smallest = SPECK_SHARE * is_drawn.size
    return [box for box, area in zip(boxes, areas, strict=True) if area >= smallest]


def cut(is_drawn: np.ndarray, box: Box) -> list[tuple[Box, Box]]:
    """Two ways to halve a piece, where it is thinnest: into left and right, top and bottom."""
    inside = is_drawn[box.top : box.bottom, box.left : box.right]
    x, y = box.left + _thinnest(inside.sum(0)), box.top + _thinnest(inside.sum(1))
    halvings = (
        (Box(box.left, box.top, x, box.bottom), Box(x, box.top, box.right, box.bottom)),
        (Box(box.left, box.top, box.right, y), Box(box.left, y, box.right, box.bottom)),
    )
    return [(_trim(is_drawn, first), _trim(is_drawn, second)) for first, second in halvings]


def _thinnest(thickness: np.ndarray) -> int:
    """Where the middle half of the piece is thinnest; never its very edge."""
    start = max(1, len(thickness) // 4)
    stop = max(start + 1, len(thickness) - start)
    return start + int(thickness[start:stop].argmin())


def _trim(is_drawn: np.ndarray, box: Box) -> Box:
    inside = _bounds(is_drawn[box.top : box.bottom, box.left : box.right])
    return Box(
        box.left + inside.left,
        box.top + inside.top,
        box.left + inside.right,
        box.top + inside.bottom,
    )


def _merge(boxes: list[Box], areas: list[int], box: Box, area: int) -> tuple[list[Box], list[int]]:
    kept_boxes, kept_areas = [], []
    for other, other_area in zip(boxes, areas, strict=True):
        if box.is_near(other, TOUCHING):
            box, area = box.union(other), area + other_area
        else:
            kept_boxes.append(other)
            kept_areas.append(other_area)
    return [*kept_boxes, box], [*kept_areas, area]


def _label(is_drawn: np.ndarray) -> np.ndarray:
    """Connected regions (8 neighbours): every drawn pixel takes its region's highest number."""
    height, width = is_drawn.shape
    labels = np.where(is_drawn, np.arange(1, is_drawn.size + 1).reshape(height, width), 0)
    while True:
        padded = np.pad(labels, 1)
        rows = np.maximum(np.maximum(padded[:-2], padded[1:-1]), padded[2:])
        spread = np.maximum(np.maximum(rows[:, :-2], rows[:, 1:-1]), rows[:, 2:])
        spread[~is_drawn] = 0
        if (spread == labels).all():
            return labels
        labels = spread


def _bounds(region: np.ndarray) -> Box:
    rows, columns = np.flatnonzero(region.any(1)), np.flatnonzero(region.any(0))
    return Box(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
