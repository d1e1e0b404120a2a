"""An independent look at pictures of the emoji world: which known drawings stand where.

Enters: a uint8 RGB picture and the sprites. Leaves: a `Judgement` (background and named pieces)
and its comparison with a scene. It segments and compares with templates; no model takes part,
so it can mark what a model has drawn.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import combinations, product

import numpy as np
from PIL import Image, ImageFilter

from janus.evaluation.emoji_segments import Box, cut, find_boxes
from janus.training.emoji.scenes import BACKGROUNDS, Scene
from janus.training.emoji.sprites import Sprites

# Letters in names: N templates or crops, T template side, C colour channel, F features.
TEMPLATE_SIDE = 24
DRAWN_SIDE = 48  # templates are first drawn at this side, to find what is visible of them
THRESHOLD = 22  # largest channel difference from the background that is still background
BORDER_SHARE = 1 / 32
EDGE_SHIFTS = (-1.0, 0.0, 1.0)  # pixels by which a piece's box may be off
EDGE_GROWTHS = (-1.5, 0.0, 1.5)
SLOPE_WEIGHT = 3.0  # high enough that a patch of the right colours is not yet a likeness
MIN_SCORE = 0.65  # for a piece to count as a recognisable drawing
GOOD_SCORE = 0.85  # pieces above it are neither cut nor joined
CUT_GAIN = 0.1
SMALLEST_CUT = 4  # pixels
JOIN_SHARE = 0.08  # of the canvas side; fragments of one drawing may lie this far apart


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A drawing found: its best name, its box in fractions of the side, its likeness up to 1."""

    sprite: int
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
class _Guess:
    """A box and the sprite that is most like its content."""

    box: Box
    sprite: int
    score: float


def judge(image: np.ndarray, sprites: Sprites) -> Judgement:
    """Name the background and every piece on a uint8 RGB picture [S, S, 3]."""
    colour = _border_colour(image)
    background = min(BACKGROUNDS, key=lambda name: np.abs(colour - BACKGROUNDS[name]).sum())
    calm = np.asarray(Image.fromarray(image).filter(ImageFilter.MedianFilter(3)))
    is_drawn = np.abs(calm - colour).max(-1) > THRESHOLD
    guess = partial(_guess, image, colour, _templates(sprites, background))
    guesses = [
        part for box in find_boxes(is_drawn) for part in _cut_touching(guess(box), is_drawn, guess)
    ]
    guesses = _join_fragments(guesses, JOIN_SHARE * len(image), guess)
    pieces = tuple(_piece(found, len(image), sprites) for found in guesses)
    return Judgement(background=background, pieces=pieces)


def score(judgement: Judgement, scene: Scene) -> dict[str, bool]:
    """Which elements of the scene the picture has, and under "all" whether it has all.

    Under "content": exactly its objects, each as often, in its relation; on whatever background.
    """
    found = sorted(piece.sprite for piece in judgement.pieces)
    wanted = sorted(placement.sprite for placement in scene.placements)
    has_relation = scene.relation is None or _has_relation(judgement, scene)
    scores = {
        "objects": set(found) == set(wanted),
        "count": len(found) == len(wanted),
        "content": found == wanted and has_relation,
        "relation": has_relation,
        "background": judgement.background == scene.background,
        "recognisable": all(piece.score >= MIN_SCORE for piece in judgement.pieces),
    }
    return {**scores, "all": all(scores.values())}


def matches(judgement: Judgement, scene: Scene) -> bool:
    """Whether the picture shows exactly the scene: objects, number, relation, background."""
    return score(judgement, scene)["all"]


def _has_relation(judgement: Judgement, scene: Scene) -> bool:
    centres = {piece.sprite: (piece.x, piece.y) for piece in judgement.pieces}
    first, second = scene.sprites
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


def _piece(found: _Guess, size: int, sprites: Sprites) -> Piece:
    x, y = found.box.centre
    return Piece(
        sprite=found.sprite,
        name=sprites[found.sprite].name,
        x=x / size,
        y=y / size,
        width=found.box.width / size,
        height=found.box.height / size,
        score=found.score,
    )


def _cut_touching(
    whole: _Guess, is_drawn: np.ndarray, guess: Callable[[Box], _Guess]
) -> list[_Guess]:
    """A piece that resembles nothing may be several that touch: keep halves that do better."""
    if whole.score >= GOOD_SCORE or min(whole.box.width, whole.box.height) < SMALLEST_CUT:
        return [whole]
    halvings = [tuple(map(guess, halves)) for halves in cut(is_drawn, whole.box)]
    best = max(halvings, key=_worst_score)
    if _worst_score(best) < whole.score + CUT_GAIN:
        return [whole]
    return [part for half in best for part in _cut_touching(half, is_drawn, guess)]


def _worst_score(guesses: tuple[_Guess, ...]) -> float:
    return min(found.score for found in guesses)


def _join_fragments(
    guesses: list[_Guess], distance: float, guess: Callable[[Box], _Guess]
) -> list[_Guess]:
    """Neighbours that look more like something together are one piece that fell apart."""
    for first, second in combinations(guesses, 2):
        if min(first.score, second.score) >= GOOD_SCORE:
            continue
        if first.box.is_near(second.box, distance):
            both = guess(first.box.union(second.box))
            if both.score > max(first.score, second.score):
                rest = [found for found in guesses if found not in (first, second)]
                return _join_fragments([*rest, both], distance, guess)
    return guesses


def _guess(image: np.ndarray, colour: np.ndarray, templates_NF: np.ndarray, box: Box) -> _Guess:
    likeness = _likeness(_crop_variants(image, box, colour), templates_NF).max(0)
    best = int(likeness.argmax())
    return _Guess(box, best, float(likeness[best]))


def _likeness(crops_NF: np.ndarray, templates_NF: np.ndarray) -> np.ndarray:
    """2ab / (aa + bb): 1 for equal pictures, less for other colours and for other shapes."""
    energies = (crops_NF**2).sum(1)[:, None] + (templates_NF**2).sum(1)[None]
    return 2 * (crops_NF @ templates_NF.T) / np.maximum(energies, 1e-6)


def _crop_variants(image: np.ndarray, box: Box, colour: np.ndarray) -> np.ndarray:
    """The piece in a square, difference from the background, cut a little differently [N, F]."""
    side = max(box.width, box.height)
    pad = side + 3  # a speck at the edge, shifted and grown, reaches this far out
    height, width = image.shape[:2]
    padded = np.empty((height + 2 * pad, width + 2 * pad, 3), dtype=np.uint8)
    padded[:] = colour.round().astype(np.uint8)
    padded[pad:-pad, pad:-pad] = image
    picture = Image.fromarray(padded)
    crops = []
    for shift_x, shift_y, growth in product(EDGE_SHIFTS, EDGE_SHIFTS, EDGE_GROWTHS):
        x, y = box.centre[0] + pad + shift_x, box.centre[1] + pad + shift_y
        half = max((side + growth) / 2, 1.0)
        crops.append(_shrink(picture, (x - half, y - half, x + half, y + half)))
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
    """Difference from the background, and its slopes at half the resolution [N, F]."""
    difference = (pixels_NTTC - colour) / 255
    num, side = difference.shape[:2]
    coarse = difference.reshape(num, side // 2, 2, side // 2, 2, 3).mean((2, 4))
    coarse = np.pad(coarse, ((0, 0), (1, 1), (1, 1), (0, 0)))
    across = coarse[:, 1:-1, 2:] - coarse[:, 1:-1, :-2]
    down = coarse[:, 2:, 1:-1] - coarse[:, :-2, 1:-1]
    parts = (difference, SLOPE_WEIGHT * across, SLOPE_WEIGHT * down)
    return np.concatenate([part.reshape(num, -1) for part in parts], axis=1).astype(np.float32)
