"""Whose pictures are whose.

In: the key that a browser keeps. Out: the library that it opens: that of the machine's owner, or
one of the browser's own, in a folder that nobody can guess. Knows no Gradio.
"""

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from janus.formats import Format
from webui.library import Library, mark

if TYPE_CHECKING:
    from janus.generation.results import Picture

KEY_BYTES = 32
KEY_LENGTH = 43  # characters that they take


class Libraries(Protocol):
    def of(self, key: object) -> Library: ...


@dataclass(frozen=True, slots=True)
class Owned:
    """One library, for everybody who can reach the page."""

    library: Library

    def of(self, key: object) -> Library:
        return self.library


class PerBrowser:
    """A library for every key, below `place`; without a key, a new one that nobody sees again.

    Whoever cleans up finds the paths of all their files in `files`.
    """

    def __init__(self, place: Path) -> None:
        self.files: set[str] = set()
        self._place = place / "libraries"

    def of(self, key: object) -> Library:
        name = hashlib.sha256(as_key(key).encode()).hexdigest()
        return _Noted(self._place / name, self.files)


class _Noted(Library):
    """Its files are noted in a set."""

    def __init__(self, folder: Path, files: set[str]) -> None:
        super().__init__(folder)
        self._files = files

    def add(self, pictures: Iterable["Picture"], *, format: Format = Format.PNG) -> list[str]:
        paths = super().add(pictures, format=format)
        self._files.update(paths, (str(mark(Path(path))) for path in paths))
        return paths


def as_key(kept: object) -> str:
    """What a browser kept, if that is a key; otherwise a new one."""
    if isinstance(kept, str) and len(kept) == KEY_LENGTH and kept.isascii():
        return kept
    return secrets.token_urlsafe(KEY_BYTES)
