"""What visitors may say to a model: in their language, where the model knows it.

In: a model's name and the visitor's words. Out: prompts and questions that suit the model, and the
words to use for what the page says to it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from webui.locale import ENGLISH
from webui.words import Words, words_in
from weights import catalog

GAP = "\N{HORIZONTAL ELLIPSIS}"  # in a question that the visitor is to complete


@dataclass(frozen=True, slots=True)
class Chip:
    """A question that takes one click; its label is for the visitor, the question for the model."""

    label: str
    question: str


def chips_for(name: str, words: Words) -> list[Chip]:
    """Questions that suit a model."""
    spoken = spoken_to(name, words)
    describe = Chip(words("ask.describe"), spoken("ask.describe.question"))
    if catalog.knowledge(name) == "emoji":
        return [
            describe,
            Chip(words("chip.things"), spoken("chip.things.question")),
            Chip(words("chip.background"), spoken("chip.background.question")),
            Chip(words("chip.where"), spoken("chip.where.question")),
        ]
    return [
        describe,
        Chip(words("chip.text"), spoken("chip.text.question")),
        Chip(words("chip.latex"), spoken("chip.latex.question")),
        Chip(words("chip.count"), spoken("chip.count.question")),
        Chip(words("chip.joke"), spoken("chip.joke.question")),
    ]


def examples_for(name: str, words: Words) -> list[str]:
    """Prompts that suit a model."""
    return spoken_to(name, words).locale.examples[catalog.knowledge(name)]


def styles_for(name: str, words: Words) -> Mapping[str, str]:
    """How the styles are called that suit a model, in its language, by their names."""
    return words.locale.styles[catalog.knowledge(name)]


def spoken_to(name: str, words: Words) -> Words:
    """The visitor's words, or those of English for a model that does not know the language."""
    return words if catalog.knowledge(name) in words.locale.examples else words_in(ENGLISH)
