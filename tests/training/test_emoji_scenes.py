from itertools import combinations

import numpy as np
import pytest

from janus.training.emoji.scenes import (
    BACKGROUNDS,
    FEWEST_CELLS,
    GRID,
    KINDS,
    Placement,
    Scene,
    render,
    sample_scene,
)
from janus.training.emoji.sprites import Sprites, load_sprites


@pytest.fixture(scope="module")
def sprites() -> Sprites:
    return load_sprites()


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
    held_out = [sample_scene(rng, sprites, held_out=True) for _ in range(300)]
    assert all(scene.is_held_out(sprites) for scene in held_out)
    assert not any(scene.is_held_out(sprites) for scene in scenes)


def test_a_relation_is_held_out_from_both_sides(sprites: Sprites) -> None:
    rng = np.random.default_rng(2)
    inverse = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}
    for _ in range(50):
        scene = sample_scene(rng, sprites, held_out=True, mix={"relation": 1})
        assert scene.relation is not None
        mirrored = Scene(
            kind="relation",
            background=scene.background,
            placements=scene.placements[::-1],
            relation=inverse[scene.relation],
        )
        assert mirrored.is_held_out(sprites)


def test_about_a_tenth_is_held_out_and_every_object_is_trained_on(sprites: Sprites) -> None:
    grid = [
        Scene(kind="single", background=name, placements=(Placement(index, 0.5, 0.5, 0.5),))
        for index in range(len(sprites))
        for name in BACKGROUNDS
    ]
    is_held_out = np.array([scene.is_held_out(sprites) for scene in grid])
    assert 0.07 < is_held_out.mean() < 0.13
    assert (~is_held_out.reshape(len(sprites), -1)).sum(1).min() >= 4


def test_pieces_keep_their_distance_and_stay_inside(scenes: list[Scene]) -> None:
    for scene in scenes:
        for piece in scene.placements:
            half = piece.size / 2
            assert min(piece.x, piece.y) - half >= 0.019
            assert max(piece.x, piece.y) + half <= 0.981
        for first, second in combinations(scene.placements, 2):
            distance = max(abs(first.x - second.x), abs(first.y - second.y))
            assert distance - (first.size + second.size) / 2 >= 0.03


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
    assert {scene.relation for scene in related} == {"left of", "right of", "above", "below"}


def test_every_kind_and_count_occurs_and_a_mix_is_kept(
    sprites: Sprites, scenes: list[Scene]
) -> None:
    assert {scene.kind for scene in scenes} == set(KINDS)
    assert {scene.count for scene in scenes if scene.kind == "count"} == {2, 3, 4}
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
            difference = np.abs(render(scene, sprites, 64).astype(int) - colour).max(-1)
            visible = (difference > 22).sum()
            drawn = (sprites.resized(index, 32)[..., 3] > 127).sum()
            assert visible > 0.4 * drawn, (sprites[index].name, background)
