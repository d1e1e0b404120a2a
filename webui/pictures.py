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


def save_all(pictures: Iterable["Picture"], folder: Path) -> list[Path]:
    """Writes each picture below `folder`, where equal names do not overwrite each other."""
    place = Path(tempfile.mkdtemp(dir=folder))
    return [picture.save(place) for picture in pictures]
