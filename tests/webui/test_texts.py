"""The words of the page."""

import re
from pathlib import Path

import webui
from janus.training.emoji.scenes import BACKGROUNDS
from janus.training.emoji.sprites import Sprites
from webui.texts import ENGLISH, EXAMPLES, duration

SOURCES = [path.read_text(encoding="utf-8") for path in Path(webui.__path__[0]).glob("*.py")]
CALL = re.compile(r"""\btext\(\s*["']([^"']+)["']""")
GRAMMAR = {"a", "two", "three", "on", "of", "the", "to", "left", "above", "below", "background"}


def test_every_text_is_defined_and_used():
    used = {key for source in SOURCES for key in CALL.findall(source)}
    assert used == set(ENGLISH)


def test_examples_stay_within_what_the_bundled_model_knows(sprites: Sprites):
    known = {word for sprite in sprites.sprites for word in (*sprite.name.split(), sprite.plural)}
    known |= {sprite.plural.split()[-1] for sprite in sprites.sprites}
    known |= {*BACKGROUNDS, *GRAMMAR}
    for example in EXAMPLES["emoji"]:
        assert set(example.split()) <= known


def test_durations_read_naturally():
    assert duration(1.23) == "1.2 s"
    assert duration(200.4) == "3 min 20 s"
