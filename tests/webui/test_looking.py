"""Where the model looked, as pictures."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageChops

from janus.pipeline import Janus
from webui.conversation import Turn
from webui.looking import glowing


@pytest.fixture
def paths(tmp_path: Path) -> tuple[str, ...]:
    for colour in ("teal", "red"):
        Image.new("RGB", (90, 60), colour).save(tmp_path / f"{colour}.png")
    return str(tmp_path / "teal.png"), str(tmp_path / "red.png")


def test_every_picture_glows_in_the_light_of_what_was_said_before(tiny: Janus, paths):
    first = Turn(paths, "Is there a dog?", "there are three dogs on a table")
    last = Turn(paths, "Where?", "on the left")
    told, untold = glowing(tiny, (first, last)), glowing(tiny, (last,))
    assert [picture.size for picture in told] == [(90, 60)] * 2
    assert any(ImageChops.difference(*pair).getbbox() for pair in zip(told, untold, strict=True))
    # What was said about other pictures does not count.
    other = Turn(paths[:1], "Is there a dog?", "there are three dogs on a table")
    for found, expected in zip(glowing(tiny, (other, last)), untold, strict=True):
        np.testing.assert_array_equal(np.asarray(found), np.asarray(expected))


def test_a_long_conversation_forgets_its_beginning(tiny: Janus, paths):
    turn = Turn(paths, "how many dogs are there?", "there are three dogs on a table")
    assert len(glowing(tiny, (turn,) * 100)) == 2
