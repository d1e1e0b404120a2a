"""Scenes of the emoji world: what is in a picture, where it stands, and the picture itself.

Enters: a random generator and the sprites. Leaves: `Scene` records that do not depend on the
resolution, and their RGB renders. One in ten compositions is held out from training for good.
It says nothing in words; that is `language`.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from janus.training.emoji.sprites import Sprites

# Pale or neutral, so that every saturated sprite stands out; see the tests for the distances.
BACKGROUNDS: Mapping[str, tuple[int, int, int]] = MappingProxyType(
    {
        "white": (255, 255, 255),
        "black": (0, 0, 0),
        "gray": (128, 132, 130),
        "pink": (255, 186, 214),
        "blue": (164, 208, 255),
        "green": (172, 228, 176),
        "yellow": (255, 242, 160),
        "purple": (206, 178, 244),
    }
)
INVERSE: Mapping[str, str] = MappingProxyType(
    {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}
)
RELATIONS = tuple(INVERSE)
KINDS = ("single", "count", "relation")
DEFAULT_MIX: Mapping[str, float] = MappingProxyType({"single": 0.4, "count": 0.3, "relation": 0.3})

HELD_OUT_ONE_IN = 10
MARGIN = 0.02  # to the edge of the canvas, as all lengths here a fraction of its side
GAP = 0.06  # between pieces
SINGLE_SIZES = (0.34, 0.62)
COUNT_SIZES: Mapping[int, tuple[float, float]] = MappingProxyType(
    {2: (0.30, 0.44), 3: (0.28, 0.38), 4: (0.28, 0.36)}
)
RELATION_SIZES = (0.30, 0.42)
RELATION_JITTER = 0.12  # of each centre, across the axis of the relation
TRIES = 128  # layouts drawn at once before the pieces are made smaller
SHRINK = 0.95
GRID = 8  # cells along a side, for scenes that stand on a grid
FEWEST_CELLS = 3  # of an object's side


@dataclass(frozen=True, slots=True)
class Placement:
    """One sprite on the canvas: centre and longer side."""

    sprite: int
    x: float
    y: float
    size: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What a picture shows. A relation reads "<first placement> <relation> <second placement>"."""

    kind: str
    background: str
    placements: tuple[Placement, ...]
    relation: str | None = None

    @property
    def count(self) -> int:
        """How many objects there are."""
        return len(self.placements)

    @property
    def sprites(self) -> tuple[int, ...]:
        """The index of every kind of sprite shown, once each; for a relation first, second."""
        return tuple(dict.fromkeys(placement.sprite for placement in self.placements))

    def is_held_out(self, sprites: Sprites) -> bool:
        """Whether this composition is kept for tests."""
        names = tuple(sprites[index].name for index in self.sprites)
        return _is_held_out(self.kind, names, self.relation or str(self.count), self.background)


def sample_scene(
    rng: np.random.Generator,
    sprites: Sprites,
    held_out: bool,
    mix: Mapping[str, float] = DEFAULT_MIX,
    *,
    on_grid: bool = False,
) -> Scene:
    """Draw a scene, either one that training may see or one that it never does.

    `mix` weighs the kinds "single", "count" and "relation". Objects stand anywhere and have any
    size, or, `on_grid`, fill squares of whole cells.
    """
    weights = np.array([mix.get(kind, 0.0) for kind in KINDS])
    kind = KINDS[int(rng.choice(len(KINDS), p=weights / weights.sum()))]
    while True:
        indices, detail, background = _sample_composition(rng, kind, len(sprites))
        names = tuple(sprites[index].name for index in indices)
        if _is_held_out(kind, names, detail, background) == held_out:
            break
    lay_out = _lay_out_on_grid if on_grid else _lay_out
    return Scene(
        kind=kind,
        background=background,
        placements=lay_out(rng, kind, indices, detail),
        relation=detail if kind == "relation" else None,
    )


def render(scene: Scene, sprites: Sprites, size: int) -> np.ndarray:
    """Paint a scene as uint8 RGB [size, size, 3]."""
    canvas = np.empty((size, size, 3), dtype=np.uint8)
    canvas[:] = BACKGROUNDS[scene.background]
    for placement in scene.placements:
        (top, left), side = _corner(placement, size)
        _composite(canvas[top : top + side, left : left + side], sprites, placement.sprite)
    return canvas


def label_patches(scene: Scene, sprites: Sprites, size: int, patch: int) -> np.ndarray:
    """What each patch of the picture shows: a sprite's index, or `len(sprites)` for background.

    A patch shows a sprite that covers at least a quarter of it. int64 [size/patch, size/patch].
    """
    grid = size // patch
    labels = np.full((grid, grid), len(sprites), dtype=np.int64)
    for placement in scene.placements:
        (top, left), side = _corner(placement, size)
        covered = np.zeros((size, size), dtype=bool)
        alpha = sprites.resized(placement.sprite, side)[..., 3]
        covered[top : top + side, left : left + side] = alpha > 127
        shares = covered.reshape(grid, patch, grid, patch).mean(axis=(1, 3))
        labels[shares >= 0.25] = placement.sprite
    return labels


def _corner(placement: Placement, size: int) -> tuple[tuple[int, int], int]:
    """(top, left) of a sprite's square in pixels, moved inside the canvas, and its side."""
    side = max(1, round(placement.size * size))
    left = min(max(round(placement.x * size - side / 2), 0), size - side)
    top = min(max(round(placement.y * size - side / 2), 0), size - side)
    return (top, left), side


def _composite(region: np.ndarray, sprites: Sprites, index: int) -> None:
    drawing = sprites.resized(index, len(region)).astype(np.uint16)
    colour, alpha = drawing[..., :3], drawing[..., 3:]
    region[:] = (colour * alpha + region * (255 - alpha) + 127) // 255


def _is_held_out(kind: str, names: tuple[str, ...], detail: str, background: str) -> bool:
    if detail in ("right of", "below"):  # the same picture as its inverse
        names, detail = names[::-1], INVERSE[detail]
    text = "|".join((kind, *names, detail, background))
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest) % HELD_OUT_ONE_IN == 0


def _sample_composition(
    rng: np.random.Generator, kind: str, num_sprites: int
) -> tuple[tuple[int, ...], str, str]:
    """Sprite indices, the count in digits or the relation, and the background."""
    background = tuple(BACKGROUNDS)[int(rng.integers(len(BACKGROUNDS)))]
    first = int(rng.integers(num_sprites))
    if kind == "single":
        return (first,), "1", background
    if kind == "count":
        return (first,), str(rng.integers(2, 5)), background
    second = (first + int(rng.integers(1, num_sprites))) % num_sprites
    return (first, second), RELATIONS[int(rng.integers(len(RELATIONS)))], background


def _lay_out(
    rng: np.random.Generator, kind: str, indices: tuple[int, ...], detail: str
) -> tuple[Placement, ...]:
    if kind == "relation":
        return _lay_out_relation(rng, indices, detail)
    if kind == "single":
        size = rng.uniform(*SINGLE_SIZES)
        centres = rng.uniform(MARGIN + size / 2, 1 - MARGIN - size / 2, (1, 2))
    else:
        centres, size = _scatter(rng, int(detail))
    return tuple(Placement(indices[0], float(x), float(y), float(size)) for x, y in centres)


def _lay_out_on_grid(
    rng: np.random.Generator, kind: str, indices: tuple[int, ...], detail: str
) -> tuple[Placement, ...]:
    """A free layout moved onto the grid, the first that leaves a cell between its objects."""
    while True:
        placements = tuple(map(_to_grid, _lay_out(rng, kind, indices, detail)))
        centres = np.array([(placement.x, placement.y) for placement in placements])
        sizes = np.array([placement.size for placement in placements])
        first, second = np.triu_indices(len(placements), 1)
        distances = np.abs(centres[first] - centres[second]).max(-1)
        if (distances > (sizes[first] + sizes[second]) / 2 + 0.5 / GRID).all():
            return placements


def _to_grid(placement: Placement) -> Placement:
    cells = max(FEWEST_CELLS, round(placement.size * GRID))
    left, top = (
        min(max(round(centre * GRID - cells / 2), 0), GRID - cells)
        for centre in (placement.x, placement.y)
    )
    return Placement(
        placement.sprite, (left + cells / 2) / GRID, (top + cells / 2) / GRID, cells / GRID
    )


def _scatter(rng: np.random.Generator, count: int) -> tuple[np.ndarray, float]:
    """Centres [count, 2] of equal squares that keep their distance, and their side."""
    size = rng.uniform(*COUNT_SIZES[count])
    first, second = np.triu_indices(count, 1)
    while True:
        low, high = MARGIN + size / 2, 1 - MARGIN - size / 2
        layouts = rng.uniform(low, high, (TRIES, count, 2))
        distances = np.abs(layouts[:, first] - layouts[:, second]).max(-1)
        fitting = np.flatnonzero((distances >= size + GAP).all(-1))
        if len(fitting):
            return layouts[fitting[0]], size
        size = max(size * SHRINK, COUNT_SIZES[count][0])


def _lay_out_relation(
    rng: np.random.Generator, indices: tuple[int, ...], relation: str
) -> tuple[Placement, ...]:
    sizes = rng.uniform(*RELATION_SIZES, 2)
    free = 1 - 2 * MARGIN - GAP - sizes.sum()
    before, upto = np.sort(rng.uniform(0, free, 2))
    along = (
        MARGIN + before + sizes[0] / 2,
        MARGIN + upto + sizes[0] + GAP + sizes[1] / 2,
    )
    across = 0.5 + rng.uniform(-RELATION_JITTER, RELATION_JITTER, 2)
    is_horizontal = relation in ("left of", "right of")
    centres = list(
        zip(along, across, strict=True) if is_horizontal else zip(across, along, strict=True)
    )
    if relation in ("right of", "below"):
        indices = indices[::-1]
    placements = tuple(
        Placement(index, float(x), float(y), float(size))
        for index, (x, y), size in zip(indices, centres, sizes, strict=True)
    )
    return placements[::-1] if relation in ("right of", "below") else placements
