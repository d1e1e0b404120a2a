"""The pictures that the bundled model drew beforehand."""

import numpy as np
import pytest
from PIL import Image

from janus.pipeline import Janus
from webui.cards import FOLDER, cards_for
from webui.words import words_in

MOST_BYTES = 150_000


@pytest.mark.parametrize("name", ["janus-emoji", "some/folder/janus-emoji"])
@pytest.mark.parametrize("tag", ["en", "es", "zh-CN"])
def test_there_are_six_in_a_language_that_the_model_knows(name: str, tag: str):
    cards = cards_for(name, words_in(tag))
    spoken = "es" if tag == "es" else "en"
    assert [card.path.parent.name for card in cards] == [spoken] * 6
    assert len({card.settings.prompt for card in cards}) == 6


@pytest.mark.parametrize("name", ["deepseek-ai/Janus-Pro-1B", "another"])
def test_no_other_model_is_said_to_have_drawn_them(name: str):
    assert cards_for(name, words_in("en")) == ()


def test_they_are_small():
    assert 0 < sum(path.stat().st_size for path in FOLDER.rglob("*.png")) < MOST_BYTES


def test_their_settings_draw_them_again():
    """As `janus draw --like FILE` does: those of a card are all that the page sets."""
    card = cards_for("janus-emoji", words_in("en"))[0]
    settings, params = card.settings, card.settings.params
    assert not settings.unknown
    [drawn] = Janus.from_pretrained(settings.model, device="cpu", dtype="float32").draw(
        settings.prompt,
        seed=params.seed,
        guidance=params.guidance,
        temperature=params.temperature,
    )
    with Image.open(card.path) as kept:
        difference = np.asarray(kept, dtype=int) - np.asarray(drawn.image, dtype=int)
    assert np.abs(difference).max() <= 2  # machines round sums differently
