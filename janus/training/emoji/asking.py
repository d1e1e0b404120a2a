"""What every question about an emoji scene needs: somebody who knows the scene and a language.

Enters: a scene, the sprites, a random generator, a language. Leaves: the parts of questions and
answers. Which questions there are, `questions`, `claims` and `dialogues` say.
"""

from dataclasses import dataclass

import numpy as np

from janus.training.emoji.layouts import INVERSE
from janus.training.emoji.phrasing import as_sentence, as_typed
from janus.training.emoji.scenes import Scene
from janus.training.emoji.sprites import Sprites
from janus.training.emoji.wordings import Name, Phrases, Wordings, pick

Group = tuple[int, int]  # index of a sprite, and how many of it there are


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question about a scene, its type, and the one right answer.

    `topic` is the sprite that "it" or "they" would mean next.
    """

    type: str
    text: str
    answer: str
    topic: int | None = None


@dataclass(frozen=True, slots=True)
class Asker:
    """Knows one scene, and speaks one language."""

    scene: Scene
    sprites: Sprites
    rng: np.random.Generator
    words: Wordings

    def say(self, templates: Phrases, **gaps: Name | str) -> str:
        """One of the templates, filled, as people type it."""
        return as_typed(as_sentence(pick(self.rng, templates).format(**gaps)), self.rng)

    def name(self, index: int) -> Name:
        """What a question may call a sprite."""
        return self.words.any_name(self.sprites[index], self.rng)

    def answer_name(self, index: int) -> str:
        """What an answer calls a sprite."""
        return self.words.name(self.sprites[index]).one

    def colour(self, colour: str) -> str:
        """What questions and answers call a colour."""
        return self.words.colours[colour][0]

    def any_group(self) -> Group:
        """One kind of object that is there."""
        return pick(self.rng, self.scene.groups)

    def other_group(self, index: int) -> Group | None:
        """The kind of object that is there too."""
        others = [group for group in self.scene.groups if group[0] != index]
        return others[0] if others else None

    def absent(self) -> int:
        """A sprite that nobody would say is there."""
        shown = [self.sprites[index] for index in self.scene.sprites]
        while True:
            index = int(self.rng.integers(len(self.sprites)))
            if not any(self.sprites[index].is_akin_to(sprite) for sprite in shown):
                return index

    def relation_of(self, index: int) -> str | None:
        """How one of two objects plainly lies to the other."""
        relation = self.scene.visible_relation
        is_first = index == self.scene.sprites[0]
        return relation if relation is None or is_first else INVERSE[relation]

    def beside(self, index: int, relation: str) -> str:
        """ "to the left of the dog"."""
        return self.words.beside[relation].format(x=self.name(index))

    def lone_shapes(self) -> list[Group]:
        """The shapes that the bare noun tells apart: "the heart" must be unique."""
        return [
            group
            for group in self.scene.groups
            if self.sprites[group[0]].shape and self.same_shape(group[0]) == [group]
        ]

    def same_shape(self, index: int) -> list[Group]:
        """All that is shown of the shape of a sprite, in any colour."""
        shape = self.sprites[index].shape
        return [group for group in self.scene.groups if self.sprites[group[0]].shape == shape]

    def shape_name(self, index: int) -> Name:
        """A shape without its colour."""
        return self.words.shape_name(_known(self.sprites[index].shape))

    def answer_colour(self, index: int) -> str:
        """The colour of a shape."""
        return self.colour(_known(self.sprites[index].colour))


def _known(value: str | None) -> str:
    assert value is not None
    return value
