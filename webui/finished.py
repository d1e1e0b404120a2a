"""The pictures of one drawing as they are finished: kept in a library, and in front of a gallery.

In: pictures by their places. Out: what the gallery shows. Knows no Gradio.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from webui.words import Words

if TYPE_CHECKING:
    from janus.generation.results import Picture

LARGEST_GALLERY = 60

Drawn = list[tuple[str, str]]  # paths and captions, newest first


@dataclass(frozen=True, slots=True)
class Finished:
    """`add` takes pictures into the library, and gives their paths; `before` is what was shown."""

    add: "Callable[[Iterable[Picture]], list[str]]"
    before: Drawn
    kept: "dict[int, tuple[str, Picture]]" = field(default_factory=dict)  # by their places

    def keep(self, pictures: "Mapping[int, Picture]") -> None:
        """Raises `SaveError` where they cannot be kept."""
        paths = self.add(pictures.values())
        named = zip(paths, pictures.values(), strict=True)
        self.kept.update(zip(pictures, named, strict=True))

    @property
    def pictures(self) -> "dict[str, Picture]":
        """Of this drawing, by their paths, in the order of their places."""
        return dict(self.kept[place] for place in sorted(self.kept))

    def gallery(self, words: Words) -> Drawn:
        new = [
            (path, words("draw.caption", seed=picture.seed, prompt=picture.settings["prompt"]))
            for path, picture in self.pictures.items()
        ]
        others = [(path, caption) for path, caption in self.before if path not in self.pictures]
        return (new + others)[:LARGEST_GALLERY]
