"""Pictures as files: those that visitors bring, and those that they take away.

In: the path of an upload, or drawn pictures. Out: an opened picture, or the paths of PNGs that
carry their settings.
"""

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from janus.errors import PictureError

if TYPE_CHECKING:
    from PIL.Image import Image

    from janus.generation.results import Picture


def open_upload(path: str) -> "Image":
    """The picture, upright. Raises `PictureError`, which tells its name but not where it lies."""
    from vision.errors import PictureError as Unreadable
    from vision.pixels import load_picture

    try:
        return load_picture(Path(path).read_bytes())
    except Unreadable as error:
        raise PictureError(f"{Path(path).name}: {error.message}", error.hint) from error


class Shelf:
    """The files of drawn pictures, in a folder of their own below `place`.

    Whoever cleans up finds their paths in `files`.
    """

    def __init__(self, place: Path) -> None:
        place.mkdir(parents=True, exist_ok=True)
        self.files: set[str] = set()
        self._folder = tempfile.mkdtemp(prefix="drawn-", dir=place)

    def save(self, pictures: Iterable["Picture"]) -> list[str]:
        """Writes PNGs that carry their settings; equal names do not overwrite each other."""
        folder = tempfile.mkdtemp(dir=self._folder)
        paths = [str(picture.save(folder)) for picture in pictures]
        self.files.update(paths)
        return paths
