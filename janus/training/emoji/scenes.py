"""Scenes of the emoji world: what is in a picture, where it stands, and the picture itself.

Enters: a random generator and the sprites. Leaves: `Scene` records that do not depend on the
resolution, and their RGB renders. It says nothing in words; that is `language`.

Held out from training for good is one in ten, by a hash of the names, of: every two objects
together, in whatever number, relation and order; every number above one of an object, in whatever
company; every lone object with its background, so that training sees each object. A scene is held
out as soon as one of these in it is, so scenes of two groups are more often than others.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from janus.training.emoji.layouts import RELATIONS, lay_out, plain_relation
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
KINDS = ("single", "count", "pair", "attributes", "groups", "relation")
DEFAULT_MIX: Mapping[str, float] = MappingProxyType(
    {
        "single": 0.22,
        "count": 0.20,
        "pair": 0.13,
        "attributes": 0.10,
        "groups": 0.15,
        "relation": 0.20,
    }
)
GROUP_COUNTS = ((1, 2), (2, 1), (1, 3), (2, 2), (3, 1))
SAME_SHAPE_SHARE = 0.2  # of the pairs of two colours
HELD_OUT_ONE_IN = 10

Groups = tuple[tuple[int, int], ...]  # index and number of each kind of object


@dataclass(frozen=True, slots=True)
class Placement:
    """One sprite on the canvas: centre and longer side, as fractions of its side."""

    sprite: int
    x: float
    y: float
    size: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What a picture shows.

    Kinds: "single" one object, "count" two to four of one kind, "pair" two different ones,
    "attributes" two shapes of different colours, "groups" three or four objects of two kinds,
    "relation" a pair whose places matter: "<first placement> <relation> <second placement>".
    """

    kind: str
    background: str
    placements: tuple[Placement, ...]
    relation: str | None = None

    @property
    def count(self) -> int:
        """How many objects there are."""
        return len(self.placements)

    @property
    def groups(self) -> Groups:
        """Each kind of sprite shown, in the order of the placements, and how many of it."""
        return tuple(Counter(placement.sprite for placement in self.placements).items())

    @property
    def sprites(self) -> tuple[int, ...]:
        """The index of every kind of sprite shown, once each; for a relation first, second."""
        return tuple(index for index, _ in self.groups)

    @property
    def visible_relation(self) -> str | None:
        """How the first of two different objects plainly lies to the second, asked for or not."""
        if self.count != 2 or len(self.groups) != 2:
            return None
        first, second = self.placements
        return plain_relation(second.x - first.x, second.y - first.y)

    def is_held_out(self, sprites: Sprites) -> bool:
        """Whether this composition is kept for tests."""
        return _is_held_out(self.groups, self.background, sprites)


def sample_scene(
    rng: np.random.Generator,
    sprites: Sprites,
    held_out: bool,
    mix: Mapping[str, float] = DEFAULT_MIX,
    *,
    on_grid: bool = False,
) -> Scene:
    """Draw a scene, either one that training may see or one that it never does.

    `mix` weighs the kinds, and "shape", a single one of the shapes. Objects stand anywhere and have
    any size, or, `on_grid`, fill squares of whole cells.
    """
    kinds, weights = tuple(mix), np.array(list(mix.values()))
    kind = kinds[int(rng.choice(len(kinds), p=weights / weights.sum()))]
    while True:
        groups = _sample_groups(rng, kind, sprites)
        background = tuple(BACKGROUNDS)[int(rng.integers(len(BACKGROUNDS)))]
        if _is_held_out(groups, background, sprites) == held_out:
            break
    relation = RELATIONS[int(rng.integers(len(RELATIONS)))] if kind == "relation" else None
    pieces = [index for index, count in groups for _ in range(count)]
    places = lay_out(rng, len(pieces), relation, on_grid=on_grid)
    placements = tuple(
        Placement(index, *place) for index, place in zip(pieces, places, strict=True)
    )
    kind = "single" if kind == "shape" else kind
    return Scene(kind=kind, background=background, placements=placements, relation=relation)


def render(scene: Scene, sprites: Sprites, size: int) -> np.ndarray:
    """Paint a scene as uint8 RGB [size, size, 3]."""
    canvas = np.empty((size, size, 3), dtype=np.uint8)
    canvas[:] = BACKGROUNDS[scene.background]
    for placement in scene.placements:
        (top, left), side = _corner(placement, size)
        _composite(canvas[top : top + side, left : left + side], sprites, placement.sprite)
    return canvas


def label_patches(scene: Scene, sprites: Sprites, size: int, patch: int) -> np.ndarray:
    """What each patch of the picture shows, and where that is: int64 [3, size/patch, size/patch].

    First a sprite's index, or `len(sprites)` for background; a patch shows a sprite that covers at
    least a quarter of it. Then the row and the column of the patch in which the sprite has its
    centre; for background, those of the patch itself.
    """
    grid = size // patch
    labels = np.stack([np.full((grid, grid), len(sprites)), *np.indices((grid, grid))])
    for placement in scene.placements:
        (top, left), side = _corner(placement, size)
        covered = np.zeros((size, size), dtype=bool)
        alpha = sprites.resized(placement.sprite, side)[..., 3]
        covered[top : top + side, left : left + side] = alpha > 127
        shares = covered.reshape(grid, patch, grid, patch).mean(axis=(1, 3))
        row, column = ((2 * corner + side) // (2 * patch) for corner in (top, left))
        labels[:, shares >= 0.25] = np.array([[placement.sprite], [row], [column]])
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


def _is_held_out(groups: Groups, background: str, sprites: Sprites) -> bool:
    names = [sprites[index].name for index, _ in groups]
    numbers = [(sprites[index].name, str(count)) for index, count in groups if count > 1]
    if len(names) == 2 and _is_drawn("pair", *sorted(names)):
        return True
    if any(_is_drawn("number", *number) for number in numbers):
        return True
    return len(names) == 1 and not numbers and _is_drawn("lone", *names, background)


def _is_drawn(*parts: str) -> bool:
    digest = hashlib.blake2b("|".join(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest) % HELD_OUT_ONE_IN == 0


def _sample_groups(rng: np.random.Generator, kind: str, sprites: Sprites) -> Groups:
    if kind == "attributes":
        return _sample_shapes(rng, sprites)
    if kind == "shape":
        return ((sprites.shapes[int(rng.integers(len(sprites.shapes)))], 1),)
    first = second = int(rng.integers(len(sprites)))
    if kind == "single":
        return ((first, 1),)
    if kind == "count":
        return ((first, int(rng.integers(2, 5))),)
    while sprites[first].is_akin_to(sprites[second]):
        second = int(rng.integers(len(sprites)))
    is_even = kind != "groups"
    counts = (1, 1) if is_even else GROUP_COUNTS[int(rng.integers(len(GROUP_COUNTS)))]
    return ((first, counts[0]), (second, counts[1]))


def _sample_shapes(rng: np.random.Generator, sprites: Sprites) -> Groups:
    """Two colours, usually on two shapes."""
    first = sprites.shapes[int(rng.integers(len(sprites.shapes)))]
    is_same = rng.random() < SAME_SHAPE_SHARE
    others = [
        index
        for index in sprites.shapes
        if sprites[index].colour != sprites[first].colour
        and (sprites[index].shape == sprites[first].shape) == is_same
    ]
    return ((first, 1), (others[int(rng.integers(len(others)))], 1))
