"""What clients send as a picture -> a picture, within the limits that the service has."""

import base64
import binascii

from PIL import Image

from janus.errors import PictureError, as_janus_error
from janus.server.fetching import fetch
from janus.server.settings import ServerSettings
from vision.source import load_picture


async def read_url(url: str, settings: ServerSettings) -> bytes:
    """The bytes of a data URL, or of an address where that is allowed. Raises `PictureError`."""
    if url[:5].lower() == "data:":
        return _decoded(url, settings.max_picture_bytes)
    return await fetch(url, settings)


def open_picture(data: bytes, settings: ServerSettings) -> Image.Image:
    """Raises `PictureError` for what is no picture, or too large; by its header, before decoding.

    It names no bytes of the data, and nothing of this machine.
    """
    try:
        return load_picture(data, max_pixels=settings.max_pixels)
    except Exception as error:
        raise as_janus_error(error) or error from error


def _decoded(url: str, max_bytes: int) -> bytes:
    head, comma, text = url.partition(",")
    if not comma or not head.lower().endswith(";base64"):
        raise PictureError(
            "The picture's data URL is not in base64.", "Write it as data:image/png;base64,..."
        )
    if len(text) * 3 // 4 > max_bytes:
        raise PictureError(f"The picture has more than {max_bytes:,} bytes.", "Scale it down.")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise PictureError("The picture's base64 is damaged.", "Encode it again.") from None
