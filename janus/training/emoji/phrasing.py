"""From templates to text: the wordings of each language, and how people type them.

Enters: a language, or a text in it. Leaves: its `Wordings`; the text as a sentence; the text as
somebody in a hurry would type it. It knows no scenes.
"""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from janus.training.emoji.sprites import Language
from janus.training.emoji.wordings import Wordings
from janus.training.emoji.wordings_en import ENGLISH
from janus.training.emoji.wordings_es import SPANISH

WORDINGS: Mapping[Language, Wordings] = MappingProxyType({"en": ENGLISH, "es": SPANISH})
LOWER_SHARE = 0.15
UNMARKED_SHARE = 0.2  # without the marks that end a sentence, or open a question
UNACCENTED_SHARE = 0.15
WITHOUT_ACUTE = str.maketrans("áéíóúÁÉÍÓÚ", "aeiouAEIOU")


def as_sentence(text: str) -> str:
    """With a capital first letter, after an opening question mark too."""
    start = 1 if text.startswith("¿") else 0
    return text[:start] + text[start : start + 1].upper() + text[start + 1 :]


def as_typed(text: str, rng: np.random.Generator) -> str:
    """Now and then without capital, marks or accents; most often unchanged."""
    lower, unmarked, unaccented = rng.random(3)
    if lower < LOWER_SHARE:
        text = text.lower()
    if unmarked < UNMARKED_SHARE:
        text = text.rstrip(".?").replace("¿", "")
    return text.translate(WITHOUT_ACUTE) if unaccented < UNACCENTED_SHARE else text
