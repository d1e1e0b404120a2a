"""Lessons: questions of a few kinds only, each about something that it names.

Enters: an `Asker`, and how often each lesson is wanted. Leaves: a `Question`, where one applies.
Among all that is said about pictures a yes or a no weighs too little to be learned; a few hundred
steps of little else are enough.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

from janus.training.emoji.asking import Asker, Question
from janus.training.emoji.claims import CLAIMS, ask_yes_no
from janus.training.emoji.layouts import region
from janus.training.emoji.questions import ask_colour, ask_number, ask_where
from janus.training.emoji.wordings import pick


@dataclass(frozen=True, slots=True)
class Lesson:
    """A kind of question, and the scenes that it applies to."""

    applies: Callable[[Asker], bool]
    ask: Callable[[Asker], Question]


def ask_lesson(asker: Asker, shares: Mapping[str, float]) -> Question | None:
    """A question of one of the `LESSONS`, each as often as its share; None where none applies."""
    names = [name for name in shares if LESSONS[name].applies(asker)]
    if not names:
        return None
    total = sum(shares[name] for name in names)
    name = asker.rng.choice(names, p=[shares[name] / total for name in names])
    return LESSONS[str(name)].ask(asker)


def _has_relation(asker: Asker) -> bool:
    return asker.scene.visible_relation is not None


def _has_two_shapes(asker: Asker) -> bool:
    return len(asker.lone_shapes()) == 2


def _has_two_numbers(asker: Asker) -> bool:
    return len({count for _, count in asker.scene.groups}) == 2


def _has_region(asker: Asker) -> bool:
    return bool(_regions(asker))


def _regions(asker: Asker) -> list[tuple[int, tuple[int, int]]]:
    """Things that there are one of, and where they plainly lie."""
    numbers = dict(asker.scene.groups)
    lone = [place for place in asker.scene.placements if numbers[place.sprite] == 1]
    found = [(place.sprite, region(place.x, place.y)) for place in lone]
    return [(index, where) for index, where in found if where is not None]


def _ask_region(asker: Asker) -> Question:
    index, where = pick(asker.rng, _regions(asker))
    text = asker.say(asker.words.where_shown, x=asker.name(index))
    return Question(type="region", text=text, answer=asker.words.regions[where], topic=index)


def _ask_number(asker: Asker) -> Question:
    return ask_number(asker, *asker.any_group())


LESSONS: Mapping[str, Lesson] = MappingProxyType(
    {
        "where": Lesson(_has_relation, ask_where),
        "colour": Lesson(_has_two_shapes, ask_colour),
        "number": Lesson(_has_two_numbers, _ask_number),
        "region": Lesson(_has_region, _ask_region),
        **{
            f"is {name}": Lesson(claim.applies, partial(ask_yes_no, names=(name,)))
            for name, claim in CLAIMS.items()
        },
    }
)
EVERY_LESSON: Mapping[str, float] = MappingProxyType(dict.fromkeys(LESSONS, 1.0))
