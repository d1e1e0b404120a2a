"""Ids as coloured squares."""

import numpy as np
import pytest
import torch

from vision.mosaic import EMPTY, CodeColours, mosaic
from vision.overlay import GLOW
from vision.tokenizer import ImageTokenizer


@pytest.fixture
def tokenizer(tiny) -> ImageTokenizer:
    return tiny.model.vqmodel


def test_a_colour_is_the_mean_of_what_the_id_shows_alone(tokenizer: ImageTokenizer):
    colours = CodeColours(tokenizer).of([3, 9, 3])
    with torch.inference_mode():
        pixels = tokenizer.decode(torch.tensor([[9] * 4])).mean((2, 3))[0]
    assert colours.shape == (3, 3) and (colours[0] == colours[2]).all()
    wanted = ((pixels + 1) * 127.5).clamp(0, 255).numpy()
    np.testing.assert_allclose(colours[1], wanted, atol=1)


def test_a_colour_depends_on_no_other_id_and_is_made_once(tokenizer: ImageTokenizer):
    decoded = []
    hook = tokenizer.decoder.register_forward_pre_hook(lambda _, x: decoded.append(len(x[0])))
    colours, alone = CodeColours(tokenizer), CodeColours(tokenizer)
    many = colours.of(range(64))
    again = colours.of([5, 63])
    hook.remove()
    assert sum(decoded) == 64
    assert (again == many[[5, 63]]).all() and (alone.of([63]) == many[63]).all()
    assert colours.of([]).shape == (0, 3)


def test_squares_stand_in_reading_order():
    colours = np.arange(5 * 3, dtype=np.uint8).reshape(5, 3)
    picture = mosaic(colours, 3, num_new=2)
    cell = picture.width // 3
    middle = [(i % 3 * cell + cell // 2, i // 3 * cell + cell // 2) for i in range(9)]
    assert [picture.getpixel(at) for at in middle[:5]] == [tuple(c) for c in colours.tolist()]
    assert picture.getpixel(middle[5]) == GLOW  # comes next
    assert [picture.getpixel(at) for at in middle[6:]] == [EMPTY] * 3
    corners = [picture.getpixel((i % 3 * cell + 2, i // 3 * cell + 2)) for i in range(9)]
    assert [corner == GLOW for corner in corners] == [False] * 3 + [True] * 2 + [False] * 4


@pytest.mark.parametrize("number", [0, 9])
def test_it_begins_empty_and_ends_full(number: int):
    picture = mosaic(np.full((number, 3), 7, dtype=np.uint8), 3)
    colours = {colour for _, colour in picture.getcolors() or ()}
    assert ((7, 7, 7) in colours, EMPTY in colours) == (number == 9, number == 0)
