"""What visitors may say to a model: in their language, where the model knows it.

In: a model's name and the visitor's words. Out: prompts that suit the model, and the words to use
for what the page says to it.
"""

from typing import Literal

from webui.loader import short
from webui.locale import ENGLISH
from webui.words import Words, words_in
from weights import catalog


def examples_for(name: str, words: Words) -> list[str]:
    """Prompts that suit a model."""
    return spoken_to(name, words).locale.examples[_knowledge(name)]


def spoken_to(name: str, words: Words) -> Words:
    """The visitor's words, or those of English for a model that does not know the language."""
    return words if _knowledge(name) in words.locale.examples else words_in(ENGLISH)


def _knowledge(name: str) -> Literal["emoji", "other"]:
    entry = catalog.find(short(name))
    return "emoji" if entry and entry.family == "emoji" else "other"
