"""A glow over what was looked at."""

import numpy as np
import pytest
from PIL import Image

from vision.overlay import GLOW, SHADE, overlay


@pytest.mark.parametrize("size", [(64, 64), (80, 40), (30, 90), (500, 3)])
def test_it_lies_where_the_weights_are(size: tuple[int, int]):
    picture = Image.new("RGB", size, "white")
    weights = np.zeros((8, 8))
    weights[3:5, 3:5] = 1  # the middle of the square is the middle of the picture
    pixels = np.asarray(overlay(picture, weights)).astype(int)
    assert overlay(picture, weights).size == size
    middle, corner = pixels[size[1] // 2, size[0] // 2], pixels[0, 0]
    assert np.allclose(corner, 255 * SHADE, atol=3)
    assert middle[0] > 240 and middle[2] < middle[0]
    assert np.allclose(middle, 0.65 * 255 + 0.35 * np.array(GLOW), atol=12)


def test_padding_is_left_out():
    picture = Image.new("RGB", (80, 40), "white")
    weights = np.zeros((8, 8))
    weights[:2] = weights[-2:] = 1  # above and below the picture
    pixels = np.asarray(overlay(picture, weights)).astype(int)
    assert abs(pixels[20] - 255 * SHADE).max() < 3
