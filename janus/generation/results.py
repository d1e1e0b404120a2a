"""What comes back from drawing and writing.

Plain values: finished pictures with the settings that made them, one step of a drawing in
progress, an answer with its counts. Nothing here knows models or tensors.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from PIL import Image

from janus.errors import UsageError
from janus.formats import Format
from janus.metadata import file_name, write_picture
from vision.sheet import contact_sheet

FinishReason = Literal["stop", "length", "cancelled", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Picture:
    """A drawn picture, its code ids in raster order, and all that is needed to draw it again."""

    image: Image.Image
    ids: tuple[int, ...] = field(repr=False)
    seed: int
    settings: Mapping[str, Any]

    def save(self, path: str | os.PathLike[str], *, quality: int | None = None) -> Path:
        """Write a file that carries the settings: PNG, WebP or JPEG, by its name.

        A folder gets a PNG with a telling name. `quality` is 0 to 100, for WebP and JPEG; without
        one, WebP loses nothing of the picture and JPEG next to nothing.

        Raises:
            UsageError: the name asks for another format, or the format cannot have this quality.
            SaveError: the folder does not exist, is full or may not be written to.
        """
        target = Path(path)
        if target.is_dir():
            model, prompt = str(self.settings.get("model", "")), self.settings.get("prompt", "")
            target = target / file_name(model, self.seed, prompt)
        write_picture(
            self.image,
            target,
            {**self.settings, "seed": self.seed},
            format=_format_of(target),
            quality=quality,
        )
        return target


def _format_of(path: Path) -> Format:
    """PNG for a name that asks for none."""
    format = Format.of_suffix(path.suffix)
    if format is None and path.suffix.lower() in Image.registered_extensions():
        raise UsageError(
            f"Cannot save '{path}': only PNG, WebP and JPEG files carry their settings.",
            f"Name it {path.stem}.png, or use .image.save() to save the picture alone.",
        )
    return format or Format.PNG


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DrawStep:
    """A drawing after `index` of `total` steps, and so many passes of the model.

    `ids` are those of each picture so far, in raster order. A preview or a mosaic costs nothing
    until it is asked for. Pictures need not end together: `new_pictures` are those that are
    finished since the step before, by their places; `pictures` are all, at the end.
    """

    index: int
    total: int
    passes: int
    ids: tuple[tuple[int, ...], ...] = field(repr=False)
    make_previews: Callable[[], Iterable[Image.Image]] = field(repr=False)
    make_mosaic: Callable[[], Image.Image] = field(repr=False)
    pictures: tuple[Picture, ...] | None = None
    new_pictures: Mapping[int, Picture] = field(default_factory=dict)
    held_back: bool = False  # memory did not suffice for all of it at once: some is drawn later

    @property
    def fraction(self) -> float:
        """How much is done, 0 to 1."""
        return self.index / self.total

    @property
    def finished(self) -> bool:
        return self.pictures is not None

    def preview(self) -> Image.Image:
        """The picture so far; several pictures as one contact sheet."""
        return contact_sheet(list(self.previews()))

    def previews(self) -> Iterator[Image.Image]:
        """Each picture so far, painted only when it is asked for."""
        return iter(self.make_previews())

    def mosaic(self) -> Image.Image:
        """The ids so far as coloured squares (`vision.mosaic`); those of the last pass framed."""
        return self.make_mosaic()


@dataclass(frozen=True, slots=True, kw_only=True)
class TextResult:
    """An answer, why it ended, and how many tokens went in and came out."""

    text: str
    finish_reason: FinishReason
    prompt_tokens: int
    completion_tokens: int
