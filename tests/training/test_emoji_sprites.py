import numpy as np
import pytest

from janus.training.emoji.sprites import Sprites, load_sprites


@pytest.fixture(scope="module")
def sprites() -> Sprites:
    return load_sprites()


def test_names_are_unique_also_against_plurals(sprites: Sprites) -> None:
    assert len(set(sprites.names)) == len(sprites) == 98
    for sprite in sprites.sprites:
        others = {other.name for other in sprites.sprites if other is not sprite}
        assert sprite.plural not in others


def test_shapes_are_every_form_in_every_colour(sprites: Sprites) -> None:
    shapes = [sprite for sprite in sprites.sprites if sprite.kind == "shape"]
    assert len({(sprite.shape, sprite.colour) for sprite in shapes}) == 3 * 6
    assert all(sprite.name == f"{sprite.colour} {sprite.shape}" for sprite in shapes)


def test_emoji_is_text(sprites: Sprites) -> None:
    assert sprites[sprites.names.index("apple")].emoji == "\N{RED APPLE}"


@pytest.mark.parametrize("size", [17, 40, 96])
def test_every_drawing_fills_its_longer_side(sprites: Sprites, size: int) -> None:
    for index in range(len(sprites)):
        pixels = sprites.resized(index, size)
        assert pixels.shape == (size, size, 4) and pixels.dtype == np.uint8
        rows = np.flatnonzero(pixels[..., 3].max(1))
        columns = np.flatnonzero(pixels[..., 3].max(0))
        assert max(np.ptp(rows), np.ptp(columns)) >= size - 2


def test_resized_drawings_are_remembered_and_read_only(sprites: Sprites) -> None:
    first = sprites.resized(0, 20)
    assert sprites.resized(0, 20) is first
    with pytest.raises(ValueError, match="read-only"):
        first[:] = 0
