"""Pictures that the bundled model drew beforehand, for a page on which nothing is drawn yet.

In: a model's name and the visitor's words. Out: the examples of that very model, in a language that
it knows; no other model has any. The files lie in `examples/`, by language, and carry their
settings: `janus draw --like FILE` draws each of them again.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from webui.loader import short
from webui.restoring import Restored
from webui.spoken import spoken_to
from webui.words import Words

FOLDER = Path(__file__).parent / "examples"


@dataclass(frozen=True, slots=True)
class Card:
    """A picture and the settings that draw it."""

    path: Path
    settings: Restored


def cards_for(name: str, words: Words) -> tuple[Card, ...]:
    """What the model of this name has drawn."""
    cards = _cards(FOLDER / spoken_to(name, words).locale.tag)
    return tuple(card for card in cards if card.settings.model == short(name))


@cache
def _cards(folder: Path) -> tuple[Card, ...]:
    return tuple(Card(path, Restored.read(str(path))) for path in sorted(folder.glob("*.png")))
