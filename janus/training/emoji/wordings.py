"""What a language must bring to talk about scenes of the emoji world.

Enters: nothing; `wordings_en` and `wordings_es` fill `Wordings`. Leaves: noun phrases, and
templates whose gaps are filled with them: "{x.of_the}" is "of the dog", or "de la manzana".
It composes no sentences; `captions`, `prompts`, `questions` and `dialogues` do.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from janus.training.emoji.sprites import Language, Noun, Sprite

Phrases = tuple[str, ...]
Choice = TypeVar("Choice")
SYNONYM_SHARE = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Determiners:
    """What a noun of one gender takes before it, and how "one" reads when it stands for it."""

    the: str
    the_many: str
    of_the: str
    of_the_many: str
    how_many: str
    single: str
    one: str


@dataclass(frozen=True, slots=True)
class Name:
    """A noun in all the forms that templates ask for."""

    noun: Noun
    determiners: Determiners

    @property
    def one(self) -> str:
        """ "dog"."""
        return self.noun.singular

    @property
    def many(self) -> str:
        """ "dogs"."""
        return self.noun.plural

    @property
    def a(self) -> str:
        """ "a dog"."""
        return f"{self.noun.article} {self.one}"

    @property
    def single(self) -> str:
        """ "a single dog"."""
        return f"{self.determiners.single} {self.one}"

    @property
    def the(self) -> str:
        """ "the dog"."""
        return f"{self.determiners.the} {self.one}"

    @property
    def the_many(self) -> str:
        """ "the dogs"."""
        return f"{self.determiners.the_many} {self.many}"

    @property
    def of_the(self) -> str:
        """ "of the dog"."""
        return f"{self.determiners.of_the} {self.one}"

    @property
    def of_the_many(self) -> str:
        """ "of the dogs"."""
        return f"{self.determiners.of_the_many} {self.many}"

    @property
    def how_many(self) -> str:
        """ "how many", in the gender of the noun."""
        return self.determiners.how_many


@dataclass(frozen=True, slots=True, kw_only=True)
class Wordings:
    """All that one language says. Gaps: x and y are a `Name`, n is a number, the rest is text."""

    language: Language
    numbers: Phrases  # from zero on
    determiners: Mapping[str, Determiners]  # by the article of the noun
    colours: Mapping[str, Phrases]  # the first is what answers use
    shapes: Mapping[str, Noun]
    yes_no: tuple[str, str]
    sides: Mapping[str, str]
    regions: Mapping[tuple[int, int], str]  # by row and column, of three each

    # Captions: one canonical form each.
    both: str
    on_background: str
    related: Mapping[str, str]
    describe: Phrases

    # Drawing prompts.
    prompt_one: Phrases
    prompt_many: Phrases
    prompt_a: Phrases  # one beside others
    prompt_both: Phrases
    prompt_related: Mapping[str, Phrases]
    prompt_background: Phrases
    prompt_background_apart: Phrases
    prompt_frames: Phrases

    # Questions; where two stand together, the first asks about one thing, the second about more.
    beside: Mapping[str, str]
    what: tuple[Phrases, Phrases]
    what_beside: Phrases
    what_else: Phrases
    count: Phrases
    total: Phrases
    colour: tuple[Phrases, Phrases]
    background: Phrases
    where: Phrases
    where_shown: Phrases
    is_there: tuple[Phrases, Phrases]
    is_number: tuple[Phrases, Phrases]
    is_background: Phrases
    is_related: Phrases
    is_colour: Phrases
    is_more: Phrases

    # Questions that lean on what was just said.
    then_background: Phrases
    then_count: Phrases
    then_colour: tuple[Phrases, Phrases]
    then_where: Phrases
    then_else: Phrases
    then_count_of: Phrases
    then_other: Phrases

    def name(self, sprite: Sprite) -> Name:
        """What answers call it."""
        return self._name(sprite.nouns[self.language][0])

    def any_name(self, sprite: Sprite, rng: np.random.Generator) -> Name:
        """What people may call it."""
        synonyms = sprite.nouns[self.language][1:]
        if not synonyms or rng.random() >= SYNONYM_SHARE:
            return self.name(sprite)
        return self._name(pick(rng, synonyms))

    def shape_name(self, shape: str) -> Name:
        """What a shape is called without its colour."""
        return self._name(self.shapes[shape])

    def counted(self, name: Name, count: int) -> str:
        """ "a dog" or "three dogs"."""
        return name.a if count == 1 else f"{self.numbers[count]} {name.many}"

    def number(self, count: int, name: Name) -> str:
        """A number that stands for the noun: "tres", but "una" of apples."""
        return name.determiners.one if count == 1 else self.numbers[count]

    def _name(self, noun: Noun) -> Name:
        return Name(noun, self.determiners[noun.article])


def pick(rng: np.random.Generator, choices: Sequence[Choice]) -> Choice:
    """One of the choices, each equally likely."""
    return choices[int(rng.integers(len(choices)))]
