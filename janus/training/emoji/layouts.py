"""Where the pieces of a scene stand: centres and sides of squares on a canvas of side 1.

Enters: a random generator, and how many pieces, or the relation of two. Leaves: layouts whose
pieces keep their distance, and the relation that two places plainly have.
It knows no sprites.
"""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

INVERSE: Mapping[str, str] = MappingProxyType(
    {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}
)
RELATIONS = tuple(INVERSE)

MARGIN = 0.02  # to the edge of the canvas
GAP = 0.06  # between pieces
SIZES: Mapping[int, tuple[float, float]] = MappingProxyType(  # by the number of pieces
    {1: (0.32, 0.64), 2: (0.28, 0.44), 3: (0.26, 0.38), 4: (0.24, 0.35)}
)
EVENNESS = 0.85  # of the pieces of a scene, the smallest to the largest
# Two pieces lie plainly side by side, or one above the other, if they are this much further apart
# along one axis than along the other; or else plainly aslant. Between the two none are placed.
PLAIN, ASLANT = 0.5, 0.65
CLEARANCE = 0.03  # from another third of the canvas, of what plainly lies in one
GRID = 8  # cells along a side, for scenes that stand on a grid
FEWEST_CELLS = 3  # of a piece's side
TRIES = 128  # layouts drawn at once before the pieces are made smaller
SHRINK = 0.95

Place = tuple[float, float, float]  # x and y of the centre, and the side


def lay_out(
    rng: np.random.Generator, number: int, relation: str | None = None, *, on_grid: bool = False
) -> list[Place]:
    """Places of so many pieces, or of two in a relation; `on_grid`, squares of whole cells."""
    while True:
        places = line_up(rng, relation) if relation else scatter(rng, number)
        if not on_grid:
            return places
        places = [_to_grid(*place) for place in places]
        if _is_clear(places, relation):
            return places


def scatter(rng: np.random.Generator, number: int) -> list[Place]:
    """One to four pieces anywhere, of about equal size."""
    smallest, largest = SIZES[number]
    size = rng.uniform(smallest, largest)
    sizes = np.maximum(size * rng.uniform(EVENNESS, 1, number), smallest)
    while True:
        reach = (MARGIN + sizes / 2)[:, None]
        layouts = rng.uniform(reach, 1 - reach, (TRIES, number, 2))
        fitting = np.flatnonzero(_fits(layouts, sizes))
        if len(fitting):
            return _places(layouts[fitting[0]], sizes)
        sizes = np.maximum(sizes * SHRINK, smallest)


def line_up(rng: np.random.Generator, relation: str) -> list[Place]:
    """Two pieces of which the first plainly has the relation to the second."""
    sizes = rng.uniform(*SIZES[2], 2)
    free = 1 - 2 * MARGIN - GAP - sizes.sum()
    before, upto = np.sort(rng.uniform(0, free, 2))
    along = MARGIN + sizes / 2 + (before, upto + sizes[0] + GAP)
    offset = rng.uniform(-PLAIN, PLAIN) * (along[1] - along[0]) / 2
    offsets = np.array([-offset, offset])
    reach = MARGIN + sizes / 2
    across = offsets + rng.uniform((reach - offsets).max(), (1 - reach - offsets).min())
    is_horizontal = relation in ("left of", "right of")
    centres = np.stack((along, across) if is_horizontal else (across, along), axis=1)
    places = _places(centres, sizes)
    return places[::-1] if relation in ("right of", "below") else places


def plain_relation(across: float, down: float) -> str | None:
    """How one thing lies to another so far to its right and below it, unless they lie aslant."""
    if abs(down) <= PLAIN * abs(across):
        return "left of" if across > 0 else "right of"
    if abs(across) <= PLAIN * abs(down):
        return "above" if down > 0 else "below"
    return None


def region(x: float, y: float) -> tuple[int, int] | None:
    """Row and column, of three each, that a point plainly lies in: not close to another."""
    row, column = (int(min(3 * value, 2)) for value in (y, x))
    inside = (abs(3 * value - edge) >= 3 * CLEARANCE for value in (x, y) for edge in (1, 2))
    return (row, column) if all(inside) else None


def _to_grid(x: float, y: float, size: float) -> Place:
    cells = max(FEWEST_CELLS, round(size * GRID))
    left, top = (min(max(round(c * GRID - cells / 2), 0), GRID - cells) for c in (x, y))
    return (left + cells / 2) / GRID, (top + cells / 2) / GRID, cells / GRID


def _is_clear(places: list[Place], relation: str | None) -> bool:
    """Whether pieces that were moved still keep apart, and still have their relation."""
    centres, sizes = np.array(places)[:, :2], np.array(places)[:, 2]
    if relation and plain_relation(*(centres[1] - centres[0])) != relation:
        return False
    return bool(_fits(centres[None], sizes)[0])


def _fits(layouts_TN2: np.ndarray, sizes_N: np.ndarray) -> np.ndarray:
    """Which layouts keep every two pieces apart, and two alone in a plain relation or aslant."""
    first, second = np.triu_indices(len(sizes_N), 1)
    distances = np.abs(layouts_TN2[:, first] - layouts_TN2[:, second])
    needed = (sizes_N[first] + sizes_N[second]) / 2 + GAP
    fits = (distances.max(-1) >= needed).all(-1)
    if len(sizes_N) == 2:
        ratios = distances[:, 0].min(-1) / distances[:, 0].max(-1)
        fits &= (ratios < PLAIN) | (ratios > ASLANT)
    return fits


def _places(centres: np.ndarray, sizes: np.ndarray) -> list[Place]:
    return [(x, y, size) for (x, y), size in zip(centres.tolist(), sizes.tolist(), strict=True)]
