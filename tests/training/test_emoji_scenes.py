from itertools import combinations

import numpy as np
import pytest

from janus.training.emoji.layouts import FEWEST_CELLS, GRID
from janus.training.emoji.scenes import (
    BACKGROUNDS,
    KINDS,
    Placement,
    Scene,
    render,
    sample_scene,
)
from janus.training.emoji.sprites import Sprites


@pytest.fixture(scope="module")
def scenes(sprites: Sprites) -> list[Scene]:
    rng = np.random.default_rng(0)
    return [sample_scene(rng, sprites, held_out=False) for _ in range(1500)]


def test_one_seed_is_one_sequence_of_scenes(sprites: Sprites) -> None:
    def draw(seed: int) -> list[Scene]:
        rng = np.random.default_rng(seed)
        return [sample_scene(rng, sprites, held_out=False) for _ in range(20)]

    assert draw(5) == draw(5) != draw(6)


def test_training_and_held_out_share_no_composition(sprites: Sprites, scenes: list[Scene]) -> None:
    rng = np.random.default_rng(1)
    trained = {element for scene in scenes for element in _elements(scene)}
    for kind in KINDS:
        for _ in range(50):
            scene = sample_scene(rng, sprites, held_out=True, mix={kind: 1})
            assert scene.is_held_out(sprites)
            assert not _elements(scene) <= trained
    assert not any(scene.is_held_out(sprites) for scene in scenes)


def test_what_is_held_out_is_so_in_any_company(sprites: Sprites) -> None:
    """A pair in every kind, order, number and on every background; a number beside any object."""
    rng = np.random.default_rng(2)
    for _ in range(30):
        first, second = sample_scene(rng, sprites, held_out=True, mix={"pair": 1}).sprites
        for background in BACKGROUNDS:
            for pieces in ((first, second), (second, first), (first, second, second)):
                assert _scene(pieces, background).is_held_out(sprites)
        many = sample_scene(rng, sprites, held_out=True, mix={"count": 1})
        pieces = [piece.sprite for piece in many.placements]
        for background in BACKGROUNDS:
            assert _scene((*pieces, first), background).is_held_out(sprites)


def test_about_a_tenth_is_held_out(sprites: Sprites) -> None:
    pairs = list(combinations(range(len(sprites)), 2))
    numbers = [(index,) * count for index in range(len(sprites)) for count in (2, 3, 4)]
    attributes = list(combinations(sprites.shapes, 2))
    for compositions in (pairs[::7], numbers, attributes):
        share = np.mean([_scene(pieces).is_held_out(sprites) for pieces in compositions])
        assert 0.07 < share < 0.13


def test_every_object_is_trained_on_alone_and_in_numbers(sprites: Sprites) -> None:
    for index in range(len(sprites)):
        alone = [_scene((index,), background).is_held_out(sprites) for background in BACKGROUNDS]
        assert sum(alone) <= len(alone) / 2
        assert not all(_scene((index,) * count).is_held_out(sprites) for count in (2, 3, 4))


def test_each_kind_shows_what_it_promises(sprites: Sprites) -> None:
    rng = np.random.default_rng(3)
    shown = {
        kind: [sample_scene(rng, sprites, held_out=False, mix={kind: 1}) for _ in range(80)]
        for kind in KINDS
    }
    counts = {
        kind: {tuple(sorted(count for _, count in scene.groups)) for scene in scenes}
        for kind, scenes in shown.items()
    }
    assert counts == {
        "single": {(1,)},
        "count": {(2,), (3,), (4,)},
        "pair": {(1, 1)},
        "attributes": {(1, 1)},
        "groups": {(1, 2), (1, 3), (2, 2)},
        "relation": {(1, 1)},
    }
    for scene in shown["attributes"]:
        first, second = (sprites[index] for index in scene.sprites)
        assert first.colour and second.colour and first.colour != second.colour
    shapes = [[sprites[index].shape for index in scene.sprites] for scene in shown["attributes"]]
    assert 0.6 < np.mean([first != second for first, second in shapes]) < 1


def test_objects_that_share_a_name_never_meet(sprites: Sprites, scenes: list[Scene]) -> None:
    for scene in (scene for scene in scenes if len(scene.sprites) == 2):
        first, second = (sprites[index] for index in scene.sprites)
        assert not first.is_akin_to(second)


def test_pieces_keep_their_distance_and_stay_inside(scenes: list[Scene]) -> None:
    for scene in scenes:
        for piece in scene.placements:
            half = piece.size / 2
            assert min(piece.x, piece.y) - half >= 0.0199
            assert max(piece.x, piece.y) + half <= 0.9801
            assert piece.size >= 0.24
        for first, second in combinations(scene.placements, 2):
            distance = max(abs(first.x - second.x), abs(first.y - second.y))
            assert distance - (first.size + second.size) / 2 >= 0.0599


def test_on_the_grid_objects_fill_whole_cells_and_leave_one_between(sprites: Sprites) -> None:
    rng = np.random.default_rng(4)
    for _ in range(300):
        scene = sample_scene(rng, sprites, held_out=False, on_grid=True)
        corners = []
        for piece in scene.placements:
            left, top, cells = ((v * GRID) for v in (piece.x, piece.y, piece.size))
            corner = np.array([left - cells / 2, top - cells / 2])
            assert np.allclose(corner % 1, 0)
            assert cells >= FEWEST_CELLS
            assert corner.min() >= 0
            assert corner.max() + cells <= GRID
            corners.append((corner, cells))
        for (first, wide), (second, wide_too) in combinations(corners, 2):
            gaps = np.maximum(second - first - wide, first - second - wide_too)
            assert gaps.max() >= 1


def test_on_the_grid_relations_hold_too(sprites: Sprites) -> None:
    rng = np.random.default_rng(5)
    mix = {"relation": 1.0}
    _require_relations(
        [sample_scene(rng, sprites, held_out=False, mix=mix, on_grid=True) for _ in range(200)]
    )


def test_relations_hold_on_the_canvas(scenes: list[Scene]) -> None:
    _require_relations(scenes)


def _require_relations(scenes: list[Scene]) -> None:
    related = [scene for scene in scenes if scene.relation is not None]
    for scene in related:
        first, second = scene.placements
        gaps = {
            "left of": second.x - first.x,
            "right of": first.x - second.x,
            "above": second.y - first.y,
            "below": first.y - second.y,
        }
        assert max(gaps, key=lambda relation: gaps[relation]) == scene.relation
        assert scene.visible_relation == scene.relation
    assert {scene.relation for scene in related} == {"left of", "right of", "above", "below"}


def test_two_objects_lie_plainly_or_aslant_never_in_between(scenes: list[Scene]) -> None:
    pairs = [scene for scene in scenes if scene.kind in ("pair", "attributes")]
    aslant = 0
    for scene in pairs:
        first, second = scene.placements
        low, high = sorted((abs(first.x - second.x), abs(first.y - second.y)))
        assert low / high <= 0.5 if scene.visible_relation else low / high >= 0.65
        aslant += scene.visible_relation is None
    assert 0.1 < aslant / len(pairs) < 0.5


def test_a_mix_is_kept(sprites: Sprites, scenes: list[Scene]) -> None:
    assert {scene.kind for scene in scenes} == set(KINDS)
    rng = np.random.default_rng(3)
    only = [sample_scene(rng, sprites, held_out=False, mix={"count": 2}) for _ in range(20)]
    assert {scene.kind for scene in only} == {"count"}


def test_a_render_is_exactly_the_drawing_over_the_background(sprites: Sprites) -> None:
    index = sprites.names.index("blue square")
    scene = Scene(kind="single", background="pink", placements=(Placement(index, 0.5, 0.5, 0.5),))
    picture = render(scene, sprites, 64)
    inside = np.zeros((64, 64), dtype=bool)
    inside[16:48, 16:48] = True
    assert (picture[~inside] == BACKGROUNDS["pink"]).all()
    drawing = sprites.resized(index, 32).astype(float)
    alpha = drawing[..., 3:] / 255
    expected = drawing[..., :3] * alpha + np.array(BACKGROUNDS["pink"]) * (1 - alpha)
    np.testing.assert_allclose(picture[16:48, 16:48], expected, atol=0.51)


@pytest.mark.parametrize("size", [64, 96, 128])
def test_renders_agree_across_resolutions(sprites: Sprites, scenes: list[Scene], size: int) -> None:
    for scene in scenes[:20]:
        picture = render(scene, sprites, size)
        assert picture.shape == (size, size, 3) and picture.dtype == np.uint8
        coarse = picture.reshape(16, size // 16, 16, size // 16, 3).mean((1, 3))
        fine = render(scene, sprites, 192).reshape(16, 12, 16, 12, 3).mean((1, 3))
        assert np.abs(coarse - fine).mean() < 4


def test_every_sprite_stands_out_from_every_background(sprites: Sprites) -> None:
    for index in range(len(sprites)):
        for background, colour in BACKGROUNDS.items():
            piece = Placement(index, 0.5, 0.5, 0.5)
            scene = Scene(kind="single", background=background, placements=(piece,))
            difference = np.abs(render(scene, sprites, 32).astype(int) - colour).max(-1)
            visible = (difference > 22).sum()
            drawn = (sprites.resized(index, 16)[..., 3] > 127).sum()
            assert visible > 0.4 * drawn, (sprites[index].name, background)


def _scene(pieces: tuple[int, ...], background: str = "white") -> Scene:
    """Some scene of these pieces; how it is laid out and called makes no difference here."""
    placements = tuple(Placement(piece, 0.5, 0.5, 0.3) for piece in pieces)
    return Scene(kind="any", background=background, placements=placements)


def _elements(scene: Scene) -> set[tuple]:
    """What a scene may be held out for."""
    numbers = {("number", index, count) for index, count in scene.groups if count > 1}
    if len(scene.groups) == 2:
        return {("pair", *sorted(scene.sprites)), *numbers}
    return numbers or {("lone", *scene.sprites, scene.background)}
