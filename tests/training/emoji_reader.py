"""A second way to read what is said about emoji scenes: by key words, without the templates."""

import re
from dataclasses import dataclass
from functools import cached_property

from janus.training.emoji.layouts import INVERSE
from janus.training.emoji.phrasing import WITHOUT_ACUTE
from janus.training.emoji.scenes import BACKGROUNDS, Scene
from janus.training.emoji.sprites import Language, Sprites

NUMBERS = {
    "en": ("zero", "one", "two", "three", "four"),
    "es": ("cero", "uno", "dos", "tres", "cuatro"),
}
SIDES = {
    "en": {
        "left of": ("left",),
        "right of": ("right",),
        "above": ("above", "over", "top"),
        "below": ("below", "under", "bottom"),
    },
    "es": {
        "left of": ("izquierda", "izquierdo"),
        "right of": ("derecha", "derecho"),
        "above": ("encima", "arriba"),
        "below": ("debajo", "abajo"),
    },
}
ONLY_ONE = {"en": r"\b(exactly|only) one\b", "es": r"\b(exactamente una?|un solo|una sola)\b"}
MORE = {"en": r"\bmore\b.*\bthan\b", "es": r"\bmas\b.*\bque\b"}
BACKGROUND = {"en": "background", "es": "fondo"}
WHICH_SIDE = {"en": "which side", "es": "que lado"}
SHAPES = {
    "en": {"heart": "heart", "circle": "circle", "square": "square", "book": "book"},
    "es": {"heart": "corazon", "circle": "circulo", "square": "cuadrado", "book": "libro"},
}
COLOURS = {
    "en": {"gray": r"gr[ae]y", "purple": "purple|violet"},
    "es": {
        "white": "blanco",
        "black": "negro",
        "gray": "gris",
        "pink": "rosa|rosado",
        "blue": "azul|celeste",
        "green": "verde",
        "yellow": "amarillo",
        "purple": "morado|violeta|lila",
        "red": "rojo",
        "orange": "naranja",
    },
}


def plain(text: str) -> str:
    """Without capitals, acute accents and the marks around a sentence."""
    return re.sub(r"[¿?.,]", "", text.lower().translate(WITHOUT_ACUTE))


@dataclass(frozen=True)
class Reader:
    """Reads texts of one language."""

    sprites: Sprites
    language: Language

    @cached_property
    def owners(self) -> dict[str, tuple[int, str]]:
        """Every singular and plural: whose it is, and its article."""
        return {
            plain(form): (index, noun.article)
            for index, sprite in enumerate(self.sprites.sprites)
            for noun in sprite.nouns[self.language]
            for form in (noun.singular, noun.plural)
        }

    @cached_property
    def _any_name(self) -> re.Pattern:
        longest_first = sorted(self.owners, key=len, reverse=True)
        return re.compile(rf"\b({'|'.join(map(re.escape, longest_first))})\b")

    def named(self, text: str) -> list[int]:
        """The sprites that a text names, in its order."""
        return [self.owners[match[1]][0] for match in self._any_name.finditer(plain(text))]

    def nouns(self, text: str) -> list[tuple[str, str]]:
        """The word before each name in a text, and the article that the name would have."""
        return [
            ((plain(text)[: match.start()].split() or [""])[-1], self.owners[match[1]][1])
            for match in self._any_name.finditer(plain(text))
        ]

    def without_names(self, text: str) -> str:
        """A text with gaps where sprites were named."""
        return self._any_name.sub("_", plain(text))

    def claimed(self, text: str) -> list[tuple[int, int]]:
        """The sprites that a prompt names, with the number in front of each."""
        found = []
        end = 0
        for match in self._any_name.finditer(plain(text)):
            words = plain(text)[end : match.start()].split()
            found.append((self.owners[match[1]][0], self._number(words[-1] if words else "")))
            end = match.end()
        return found

    def _number(self, word: str) -> int:
        digits = [str(number) for number in range(5)]
        for words in (NUMBERS[self.language], digits):
            if word in words:
                return words.index(word)
        return 1

    def sides(self, text: str) -> list[str]:
        """The relations whose words a text has."""
        return [
            relation
            for relation, words in SIDES[self.language].items()
            if re.search(rf"\b({'|'.join(words)})\b", self.without_names(text))
        ]

    def backgrounds(self, text: str) -> set[str]:
        """The colours in which a text speaks of a background."""
        rest = self.without_names(text)
        return {
            colour
            for colour in BACKGROUNDS
            if re.search(r"background|fondo| on ", rest)
            and re.search(rf"\b({COLOURS[self.language].get(colour, colour)})\b", rest)
        }

    def shape(self, text: str) -> str | None:
        """The bare shape that a text is about."""
        for shape, word in SHAPES[self.language].items():
            if re.search(rf"\b{word}(s|es)?\b", self.without_names(text)):
                return shape
        return None

    def answer(
        self, kind: str, text: str, scene: Scene, topic: int | None = None
    ) -> str | int | bool | None:
        """A sprite, a colour, a number, a relation or a verdict; `topic` is what "it" is."""
        shown, named = dict(scene.groups), self.named(text)
        if kind == "what":
            (answer,) = [index for index in shown if index not in (named or [topic])]
            for relation in self.sides(text):
                assert self.relation(scene, answer) == relation, text
            return answer
        if kind == "count":
            return self._count(text, named, scene, topic)
        if kind == "colour":
            shape = self.shape(text) or (topic is not None and self.sprites[topic].shape)
            alike = [index for index in shown if self.sprites[index].shape == shape]
            return self.sprites[topic if self.shape(text) is None and topic else alike[0]].colour
        if kind == "background":
            return scene.background
        if kind == "where":
            is_last = WHICH_SIDE[self.language] in plain(text)
            return self.relation(scene, (named or [topic])[-1 if is_last else 0])
        return self._is_true(text, named, scene)

    def _count(self, text: str, named: list[int], scene: Scene, topic: int | None) -> int:
        shown, shape = dict(scene.groups), self.shape(text)
        if named:
            return shown.get(named[0], 0)
        if shape:
            return sum(n for index, n in shown.items() if self.sprites[index].shape == shape)
        return scene.count if topic is None else shown[topic]

    def _is_true(self, text: str, named: list[int], scene: Scene) -> bool:
        shown, rest = dict(scene.groups), self.without_names(text)
        if BACKGROUND[self.language] in rest:
            return self.backgrounds(text) == {scene.background}
        if re.search(MORE[self.language], rest):
            return shown[named[0]] > shown[named[1]]
        if len(named) == 2:
            return [self.relation(scene, named[0])] == self.sides(text)
        if not named:
            (colour,) = [self.sprites[i].colour for i in shown if self._is_shape(i, text)]
            return re.search(rf"\b{COLOURS[self.language].get(colour, colour)}\b", rest) is not None
        if re.search(ONLY_ONE[self.language], rest):
            return shown[named[0]] == 1
        number = re.search(rf"\b({'|'.join(NUMBERS[self.language][2:])})\b", rest)
        if number:
            return NUMBERS[self.language].index(number[1]) == shown[named[0]]
        return named[0] in shown

    def _is_shape(self, index: int, text: str) -> bool:
        return self.sprites[index].shape == self.shape(text)

    @staticmethod
    def relation(scene: Scene, index: int) -> str:
        """By the canvas: how a piece lies to the other one."""
        first, second = scene.placements
        across, down = second.x - first.x, second.y - first.y
        if abs(across) > abs(down):
            relation = "left of" if across > 0 else "right of"
        else:
            relation = "above" if down > 0 else "below"
        return relation if index == first.sprite else INVERSE[relation]
