"""The drawings of the emoji world and their names, in English and Spanish.

Enters: the packaged atlas (`sprites.webp`, made by `build_sprites`) and the table of names
(`sprites.csv`). Leaves: `Sprites`, which hands out each drawing at any pixel size.
It places nothing and knows no scenes.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from typing import Literal

import numpy as np
from PIL import Image

Language = Literal["en", "es"]
LANGUAGES: tuple[Language, ...] = ("en", "es")
CELL = 96
COLUMNS = 10


@dataclass(frozen=True, slots=True)
class Noun:
    """A name with its indefinite article, which in Spanish tells the gender."""

    article: str
    singular: str
    plural: str

    @classmethod
    def read(cls, text: str) -> "Noun":
        """From "a dog/dogs"."""
        article, forms = text.split(" ", 1)
        singular, plural = forms.split("/")
        return cls(article, singular, plural)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sprite:
    """One drawing: what it is called, and for a shape also its form and colour.

    `nouns` holds for each language the name that answers use, then its synonyms. `kind_of` is the
    wider name that people would give it too, as "bird" to an owl.
    """

    hexcode: str
    nouns: Mapping[Language, tuple[Noun, ...]]
    kind_of: str | None = None
    shape: str | None = None
    colour: str | None = None

    @property
    def name(self) -> str:
        """The English name, which identifies the sprite."""
        return self.nouns["en"][0].singular

    @property
    def plural(self) -> str:
        """The English plural."""
        return self.nouns["en"][0].plural

    def is_akin_to(self, other: "Sprite") -> bool:
        """Whether the name of one covers the other too, so that the two should not meet."""
        return self.name in (other.name, other.kind_of) or self.kind_of == other.name


class Sprites:
    """All drawings. `resized` remembers what it made, so keep one instance and reuse it."""

    def __init__(self, sprites: tuple[Sprite, ...], atlas: Image.Image) -> None:
        self.sprites = sprites
        self._atlas = atlas
        self._resized: dict[tuple[int, int], np.ndarray] = {}

    def __len__(self) -> int:
        return len(self.sprites)

    def __getitem__(self, index: int) -> Sprite:
        return self.sprites[index]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """English names, in the order of the indices."""
        return tuple(sprite.name for sprite in self.sprites)

    @cached_property
    def shapes(self) -> tuple[int, ...]:
        """Indices of the sprites that are a form in a colour."""
        return tuple(index for index, sprite in enumerate(self.sprites) if sprite.shape)

    def resized(self, index: int, size: int) -> np.ndarray:
        """One sprite as a read-only uint8 RGBA array [size, size, 4], its longer side filled."""
        key = (index, size)
        if key not in self._resized:
            self._resized[key] = self._resize(index, size)
        return self._resized[key]

    def _resize(self, index: int, size: int) -> np.ndarray:
        left, top = index % COLUMNS * CELL, index // COLUMNS * CELL
        cell = self._atlas.crop((left, top, left + CELL, top + CELL))
        # Pillow multiplies colours by alpha before it filters RGBA, which keeps the edges clean.
        pixels = np.array(cell.resize((size, size), Image.Resampling.LANCZOS))
        pixels.flags.writeable = False
        return pixels


def load_sprites() -> Sprites:
    """Read the packaged atlas and the names."""
    with (resources.files(__name__.rpartition(".")[0]) / "sprites.webp").open("rb") as file:
        atlas = Image.open(file).convert("RGBA")
    return Sprites(read_names(), atlas)


def read_names() -> tuple[Sprite, ...]:
    """Every sprite of the packaged table, in the order of the atlas."""
    table = resources.files(__name__.rpartition(".")[0]) / "sprites.csv"
    rows = csv.DictReader(table.read_text(encoding="utf-8").splitlines())
    return tuple(map(_read_sprite, rows))


def _read_sprite(row: dict[str, str]) -> Sprite:
    return Sprite(
        hexcode=row["hexcode"],
        nouns={language: _read_nouns(row, language) for language in LANGUAGES},
        kind_of=row["kind_of"] or None,
        shape=row["shape"] or None,
        colour=row["colour"] or None,
    )


def _read_nouns(row: dict[str, str], language: Language) -> tuple[Noun, ...]:
    synonyms = filter(None, row[f"{language}_synonyms"].split("; "))
    return tuple(map(Noun.read, (row[language], *synonyms)))
