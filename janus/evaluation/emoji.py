"""The exam of janus-emoji: scenes that training never saw, both ways, in English and Spanish.

In: a model. Out: an `Exam`: marks by name, every drawing with its verdict, and what was taken for
what. The same model and numbers give the same exam.
"""

from collections import Counter
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from janus.evaluation.emoji_drawing import (
    CATEGORIES,
    Drawing,
    ceilings,
    draw_category,
    drawing_marks,
    share,
)
from janus.evaluation.emoji_seeing import look_and_answer
from janus.pipeline import Janus
from janus.training.emoji.sprites import LANGUAGES, Language, Sprites, load_sprites

PREFIXES: dict[Language, str] = {"en": "", "es": "spanish."}


@dataclass(frozen=True)
class Exam:
    """Marks from 0 to 1 by name, and the drawings, in the order of the categories."""

    marks: dict[str, float]
    drawings: tuple[Drawing, ...]

    def sample(self, number: int) -> list[Drawing]:
        """So many drawings, evenly spread over all categories and languages."""
        step = max(len(self.drawings) / number, 1)
        places = [int(i * step) for i in range(number)]
        return [self.drawings[place] for place in places if place < len(self.drawings)]

    @cached_property
    def confusions(self) -> list[tuple[str, str, int]]:
        """Of pictures with one wrong object: what was wanted, what was found, how often."""
        pairs = Counter(
            (drawing.wanted[0], drawing.found[0])
            for drawing in self.drawings
            if len(drawing.wanted) == len(drawing.found) == 1 and drawing.wanted != drawing.found
        )
        return [(*pair, times) for pair, times in pairs.most_common()]


def take_exam(
    model: Janus, *, limit: int = 50, languages: tuple[Language, ...] = LANGUAGES
) -> Exam:
    """Marks a model with `limit` prompts of each category, and as many scenes of each kind."""
    sprites = load_sprites()
    marks: dict[str, float] = {}
    drawings: list[Drawing] = []
    for language in languages:
        drawn = [
            drawing
            for category in CATEGORIES
            for drawing in draw_category(model, category, sprites, limit, language)
        ]
        seen = look_and_answer(model, sprites, limit, language)
        found = drawing_marks(drawn) | {name: share(values) for name, values in seen.items()}
        marks |= {PREFIXES[language] + name: mark for name, mark in found.items()}
        drawings += drawn
    return Exam(marks | _ceilings(model, sprites, limit), tuple(drawings))


def _ceilings(model: Janus, sprites: Sprites, limit: int) -> dict[str, float]:
    marks = {category: ceilings(model, category, sprites, limit) for category in CATEGORIES}
    named = {
        f"ceiling.{source}.{category}": mark
        for category, found in marks.items()
        for source, mark in found.items()
    }
    overall = {
        f"ceiling.{source}.overall": float(np.mean([found[source] for found in marks.values()]))
        for source in ("render", "tokenizer")
    }
    return overall | named
