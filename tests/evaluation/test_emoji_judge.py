import numpy as np
import pytest
from PIL import Image, ImageFilter

from janus.evaluation.emoji_judge import Judgement, judge, matches, score
from janus.training.emoji.scenes import Placement, Scene, render, sample_scene
from janus.training.emoji.sprites import Sprites, load_sprites


@pytest.fixture(scope="module")
def sprites() -> Sprites:
    return load_sprites()


@pytest.fixture(scope="module")
def scenes(sprites: Sprites) -> list[Scene]:
    rng = np.random.default_rng(0)
    return [sample_scene(rng, sprites, held_out=False) for _ in range(60)]


@pytest.mark.parametrize("size", [64, 96])
def test_true_renders_match_their_scene(sprites: Sprites, scenes: list[Scene], size: int) -> None:
    verdicts = [matches(judge(render(scene, sprites, size), sprites), scene) for scene in scenes]
    assert np.mean(verdicts) >= 0.98


def test_soft_and_noisy_renders_still_match(sprites: Sprites, scenes: list[Scene]) -> None:
    rng = np.random.default_rng(1)
    verdicts = []
    for scene in scenes:
        soft = Image.fromarray(render(scene, sprites, 64)).filter(ImageFilter.GaussianBlur(1))
        noisy = np.asarray(soft) + rng.normal(0, 6, (64, 64, 3))
        verdicts.append(matches(judge(noisy.clip(0, 255).astype(np.uint8), sprites), scene))
    assert np.mean(verdicts) >= 0.95


def test_pieces_lie_where_the_sprites_were_placed(sprites: Sprites) -> None:
    scene = _scene(sprites, "white", ("red heart", 0.3, 0.3, 0.3), ("car", 0.7, 0.7, 0.4))
    pieces = {piece.name: piece for piece in judge(render(scene, sprites, 128), sprites).pieces}
    assert set(pieces) == {"red heart", "car"}
    assert pieces["car"].x == pytest.approx(0.7, abs=0.02)
    assert pieces["car"].width == pytest.approx(0.4, abs=0.02)
    assert pieces["red heart"].y == pytest.approx(0.3, abs=0.02)


def test_each_wrong_element_is_marked(sprites: Sprites) -> None:
    shown = _scene(sprites, "pink", ("dog", 0.25, 0.5, 0.4), ("bus", 0.75, 0.5, 0.4))
    other_background = _scene(sprites, "gray", ("dog", 0.25, 0.5, 0.4), ("bus", 0.75, 0.5, 0.4))
    swapped = _scene(sprites, "pink", ("bus", 0.25, 0.5, 0.4), ("dog", 0.75, 0.5, 0.4))
    other_object = _scene(sprites, "pink", ("dog", 0.25, 0.5, 0.4), ("car", 0.75, 0.5, 0.4))
    judgement = judge(render(shown, sprites, 64), sprites)
    assert _failures(judgement, shown) == set()
    assert _failures(judgement, other_background) == {"background"}
    assert _failures(judgement, swapped) == {"relation", "content"}
    assert _failures(judgement, other_object) == {"objects", "relation", "content"}


def test_a_missing_piece_is_a_wrong_count(sprites: Sprites) -> None:
    places = (("star", 0.25, 0.25, 0.3), ("star", 0.75, 0.25, 0.3), ("star", 0.5, 0.75, 0.3))
    three = _scene(sprites, "blue", *places, kind="count")
    two = _scene(sprites, "blue", *places[:2], kind="count")
    assert _failures(judge(render(two, sprites, 64), sprites), three) == {"count", "content"}


def test_each_kind_has_its_own_number(sprites: Sprites) -> None:
    places = ((0.25, 0.25, 0.3), (0.75, 0.25, 0.3), (0.5, 0.75, 0.3))
    shown, wanted = (
        _scene(
            sprites,
            "blue",
            *((name, *place) for name, place in zip(names, places, strict=True)),
            kind="groups",
        )
        for names in (("dog", "dog", "bus"), ("dog", "bus", "bus"))
    )
    assert _failures(judge(render(shown, sprites, 64), sprites), wanted) == {"content"}


def test_touching_pieces_are_told_apart(sprites: Sprites) -> None:
    scene = _scene(sprites, "white", ("blue square", 0.3, 0.5, 0.4), ("apple", 0.68, 0.5, 0.4))
    assert matches(judge(render(scene, sprites, 64), sprites), scene)


def test_an_empty_picture_has_no_pieces_and_matches_nothing(
    sprites: Sprites, scenes: list[Scene]
) -> None:
    judgement = judge(np.full((64, 64, 3), (250, 190, 210), dtype=np.uint8), sprites)
    assert judgement.background == "pink" and judgement.pieces == ()
    assert not any(matches(judgement, scene) for scene in scenes)


def test_noise_matches_nothing(sprites: Sprites, scenes: list[Scene]) -> None:
    noise = np.random.default_rng(2).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    judgement = judge(noise, sprites)
    assert not any(matches(judgement, scene) for scene in scenes)


def _scene(
    sprites: Sprites,
    background: str,
    *places: tuple[str, float, float, float],
    kind: str = "relation",
) -> Scene:
    return Scene(
        kind=kind,
        background=background,
        placements=tuple(Placement(sprites.names.index(name), *place) for name, *place in places),
        relation="left of" if kind == "relation" else None,
    )


def _failures(judgement: Judgement, scene: Scene) -> set[str]:
    scores = score(judgement, scene)
    return {element for element, is_right in scores.items() if not is_right} - {"all"}


def test_a_speck_in_the_corner_is_judged(sprites: Sprites):
    picture = np.full((64, 64, 3), 255, dtype=np.uint8)
    picture[:3, :3] = (200, 0, 0)
    assert judge(picture, sprites).background == "white"
