"""The drawings of the emoji world and their names.

Enters: the packaged atlas (`sprites.webp`) and its records (`sprites.json`), made by
`build_sprites`. Leaves: `Sprites`, which hands out each drawing at any pixel size.
It places nothing and knows no scenes.
"""

import json
from dataclasses import dataclass
from functools import cached_property
from importlib import resources

import numpy as np
from PIL import Image

CELL = 96
COLUMNS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Sprite:
    """One drawing: what it is called, and for a shape also its form and colour."""

    name: str
    plural: str
    article: str
    hexcode: str
    keywords: tuple[str, ...]
    kind: str
    shape: str | None = None
    colour: str | None = None

    @property
    def emoji(self) -> str:
        """The emoji itself, as text."""
        return "".join(chr(int(code, 16)) for code in self.hexcode.split("-"))


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
        """Singular names, in the order of the indices."""
        return tuple(sprite.name for sprite in self.sprites)

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
    """Read the packaged atlas and its records."""
    folder = resources.files(__package__ or "janus.training.emoji")
    records = json.loads((folder / "sprites.json").read_text(encoding="utf-8"))
    sprites = tuple(
        Sprite(**{**record, "keywords": tuple(record["keywords"])}) for record in records
    )
    with (folder / "sprites.webp").open("rb") as file:
        atlas = Image.open(file).convert("RGBA")
    return Sprites(sprites, atlas)
