"""Boxes on pictures."""

import numpy as np
from PIL import Image

from webui.parts import Box, between, canvas, marked


def test_a_box_is_in_pixels_of_any_size_and_never_empty():
    assert Box().within((7, 5)) == (0, 0, 7, 5)
    assert Box(75, 50, 25, 100).within((200, 100)) == (50, 50, 150, 100)
    assert Box(100, 100, 100, 100).within((200, 100)) == (199, 99, 200, 100)


def test_two_corners_make_a_box_in_any_order():
    assert between((60, 10), (20, 40)) == between((20, 10), (60, 40)) == Box(20, 10, 60, 40)
    assert between((0, 0), (100, 100)).is_whole


def test_all_but_the_box_lies_in_shade():
    picture = Image.new("RGB", (100, 50), (200, 100, 40))
    light = np.asarray(marked(picture, Box(50, 0, 100, 100)))
    assert (light[:, 50:] == (200, 100, 40)).all() and (light[:, :50] < 100).all()
    assert marked(picture, Box(), (50, 50)).getpixel((50, 25)) == (255, 255, 255)


def test_a_picture_is_shown_in_the_size_of_its_place_and_stays_as_it_is():
    picture = Image.new("RGB", (2000, 1000))
    assert canvas(picture).size == (640, 320) and picture.size == (2000, 1000)
    assert canvas(Image.new("RGB", (90, 60))).size == (640, 427)
