"""Pictures that visitors bring.

In: the path of an upload. Out: an opened picture.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from janus.errors import PictureError

if TYPE_CHECKING:
    from PIL.Image import Image


def open_upload(path: str) -> "Image":
    """The picture, upright. Raises `PictureError`, which tells its name but not where it lies."""
    from vision.errors import PictureError as Unreadable
    from vision.pixels import load_picture

    try:
        return load_picture(Path(path).read_bytes())
    except Unreadable as error:
        raise PictureError(f"{Path(path).name}: {error.message}", error.hint) from error
