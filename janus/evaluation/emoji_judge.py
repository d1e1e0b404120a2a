"""An independent look at pictures of the emoji world: which known drawings stand where.

Enters: a uint8 RGB picture and the sprites. Leaves: a `Judgement` (background and named pieces)
and its comparison with a scene. It segments and compares with templates; no model takes part,
so it can mark what a model has drawn.
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np
from PIL import Image, ImageFilter

from janus.training.emoji.scenes import BACKGROUNDS, Scene
from janus.training.emoji.sprites import Sprites

# Letters in names: N templates or crops, T template side, C colour channel, F features.
TEMPLATE_SIDE = 24
DRAWN_SIDE = 48  # templates are first drawn at this side, to find what is visible of them
THRESHOLD = 22  # largest channel difference from the background that is still background
BORDER_SHARE = 1 / 32
SPECK_SHARE = 0.004  # of the canvas area; smaller regions are dropped
EDGE_SHIFTS = (-1.0, 0.0, 1.0)  # pixels by which a piece's box may be off
EDGE_GROWTHS = (-1.5, 0.0, 1.5)
MIN_SCORE = 0.5  # for a piece to count as a recognisable drawing


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A drawing found: its best name, its box in fractions of the side, its likeness up to 1."""

    name: str
    x: float
    y: float
    width: float
    height: float
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What is on a picture. `x` and `y` of a piece are its centre."""

    background: str
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class _Box:
    """Pixel bounds, the lower right ones exclusive."""

    left: int
    top: int
    right: int
    bottom: int

    def is_near(self, other: "_Box", distance: int) -> bool:
        return (
            max(self.left, other.left) - min(self.right, other.right) < distance
            and max(self.top, other.top) - min(self.bottom, other.bottom) < distance
        )

    def union(self, other: "_Box") -> "_Box":
        return _Box(
            min(self.left, other.left),
            min(self.top, other.top),
            max(self.right, other.right),
            max(self.bottom, other.bottom),
        )


def judge(image: np.ndarray, sprites: Sprites) -> Judgement:
    """Name the background and every piece on a uint8 RGB picture [S, S, 3]."""
    colour = _border_colour(image)
    background = min(BACKGROUNDS, key=lambda name: np.abs(colour - BACKGROUNDS[name]).sum())
    calm = np.asarray(Image.fromarray(image).filter(ImageFilter.MedianFilter(3)))
    boxes = _find_boxes(np.abs(calm - colour).max(-1) > THRESHOLD)
    pieces = tuple(_name_piece(image, box, colour, background, sprites) for box in boxes)
    return Judgement(background=background, pieces=pieces)


def score(judgement: Judgement, scene: Scene, sprites: Sprites) -> dict[str, bool]:
    """Which elements of the scene the picture has, and under "all" whether it has all."""
    found = sorted(piece.name for piece in judgement.pieces)
    wanted = sorted(sprites[placement.sprite].name for placement in scene.placements)
    scores = {
        "objects": set(found) == set(wanted),
        "count": len(found) == len(wanted),
        "relation": scene.relation is None or _has_relation(judgement, scene, sprites),
        "background": judgement.background == scene.background,
        "recognisable": all(piece.score >= MIN_SCORE for piece in judgement.pieces),
    }
    return {**scores, "all": all(scores.values()) and found == wanted}


def matches(judgement: Judgement, scene: Scene, sprites: Sprites) -> bool:
    """Whether the picture shows exactly the scene: objects, number, relation, background."""
    return score(judgement, scene, sprites)["all"]


def _has_relation(judgement: Judgement, scene: Scene, sprites: Sprites) -> bool:
    centres = {piece.name: (piece.x, piece.y) for piece in judgement.pieces}
    first, second = (sprites[index].name for index in scene.sprites)
    if first not in centres or second not in centres:
        return False
    across = centres[first][0] - centres[second][0]
    down = centres[first][1] - centres[second][1]
    main, other = (across, down) if scene.relation in ("left of", "right of") else (down, across)
    sign = -1 if scene.relation in ("left of", "above") else 1
    return main * sign > abs(other)


def _border_colour(image: np.ndarray) -> np.ndarray:
    width = max(1, round(len(image) * BORDER_SHARE))
    is_border = np.ones(image.shape[:2], dtype=bool)
    is_border[width:-width, width:-width] = False
    return np.median(image[is_border], axis=0)


def _find_boxes(is_drawn: np.ndarray) -> list[_Box]:
    """Boxes of the connected regions; fragments whose boxes nearly touch are one piece."""
    labels = _label(is_drawn)
    boxes: list[_Box] = []
    areas: list[int] = []
    for label in np.unique(labels[is_drawn]):
        rows, columns = np.nonzero(labels == label)
        box = _Box(columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        boxes, areas = _merge(boxes, areas, box, len(rows))
    smallest = SPECK_SHARE * is_drawn.size
    return [box for box, area in zip(boxes, areas, strict=True) if area >= smallest]


def _merge(
    boxes: list[_Box], areas: list[int], box: _Box, area: int
) -> tuple[list[_Box], list[int]]:
    kept_boxes, kept_areas = [], []
    for other, other_area in zip(boxes, areas, strict=True):
        if box.is_near(other, 2):
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


def _name_piece(
    image: np.ndarray, box: _Box, colour: np.ndarray, background: str, sprites: Sprites
) -> Piece:
    crops_NF = _crop_variants(image, box, colour)
    templates_NF = _templates(sprites, background)
    likeness = _likeness(crops_NF, templates_NF).max(0)
    best = int(likeness.argmax())
    size = len(image)
    return Piece(
        name=sprites[best].name,
        x=(box.left + box.right) / 2 / size,
        y=(box.top + box.bottom) / 2 / size,
        width=(box.right - box.left) / size,
        height=(box.bottom - box.top) / size,
        score=float(likeness[best]),
    )


def _likeness(crops_NF: np.ndarray, templates_NF: np.ndarray) -> np.ndarray:
    """2ab / (aa + bb): 1 for equal pictures, less for other colours and for other shapes."""
    energies = (crops_NF**2).sum(1)[:, None] + (templates_NF**2).sum(1)[None]
    return 2 * (crops_NF @ templates_NF.T) / np.maximum(energies, 1e-6)


def _crop_variants(image: np.ndarray, box: _Box, colour: np.ndarray) -> np.ndarray:
    """The piece in a square, difference from the background, cut a little differently [N, F]."""
    side = max(box.right - box.left, box.bottom - box.top)
    pad = side
    height, width = image.shape[:2]
    padded = np.empty((height + 2 * pad, width + 2 * pad, 3), dtype=np.uint8)
    padded[:] = colour.round().astype(np.uint8)
    padded[pad:-pad, pad:-pad] = image
    picture = Image.fromarray(padded)
    x, y = (box.left + box.right) / 2 + pad, (box.top + box.bottom) / 2 + pad
    crops = []
    for shift_x, shift_y, growth in product(EDGE_SHIFTS, EDGE_SHIFTS, EDGE_GROWTHS):
        half = max((side + growth) / 2, 1.0)
        centre_x, centre_y = x + shift_x, y + shift_y
        bounds = (centre_x - half, centre_y - half, centre_x + half, centre_y + half)
        crops.append(_shrink(picture, bounds))
    return _features(np.stack(crops), colour)


@lru_cache(maxsize=len(BACKGROUNDS))
def _templates(sprites: Sprites, background: str) -> np.ndarray:
    """Every sprite as it looks over a background, trimmed to what can be seen there [N, F]."""
    colour = np.array(BACKGROUNDS[background], dtype=np.float64)
    drawn = [_draw_template(sprites, index, colour) for index in range(len(sprites))]
    return _features(np.stack(drawn), colour)


def _draw_template(sprites: Sprites, index: int, colour: np.ndarray) -> np.ndarray:
    drawing = sprites.resized(index, DRAWN_SIDE).astype(np.float64)
    alpha = drawing[..., 3:] / 255
    pixels = drawing[..., :3] * alpha + colour * (1 - alpha)
    rows, columns = np.nonzero(np.abs(pixels - colour).max(-1) > THRESHOLD)
    x, y = (columns.min() + columns.max() + 1) / 2, (rows.min() + rows.max() + 1) / 2
    half = max(np.ptp(columns), np.ptp(rows)) / 2 + 0.5
    canvas = np.empty((2 * DRAWN_SIDE, 2 * DRAWN_SIDE, 3), dtype=np.uint8)
    canvas[:] = colour.astype(np.uint8)
    pad = DRAWN_SIDE // 2
    canvas[pad:-pad, pad:-pad] = pixels.round().astype(np.uint8)
    bounds = (x + pad - half, y + pad - half, x + pad + half, y + pad + half)
    return _shrink(Image.fromarray(canvas), bounds)


def _shrink(picture: Image.Image, bounds: tuple[float, float, float, float]) -> np.ndarray:
    side = (TEMPLATE_SIDE, TEMPLATE_SIDE)
    return np.asarray(picture.resize(side, Image.Resampling.BILINEAR, box=bounds))


def _features(pixels_NTTC: np.ndarray, colour: np.ndarray) -> np.ndarray:
    difference = (pixels_NTTC - colour) / 255
    return difference.reshape(len(difference), -1).astype(np.float32)
