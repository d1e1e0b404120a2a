"""From wherever a picture is to an upright RGB picture.

In: a path, bytes, a stream, a PIL picture, an array or a tensor. Out: a PIL picture of mode RGB, or
a PictureError that says what is wrong with it. Downloads nothing, ignores colour profiles, and
leaves Pillow's global settings as they are.
"""

import contextlib
import io
import os
import struct
import warnings
from contextlib import AbstractContextManager
from typing import BinaryIO

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError

from vision.errors import PictureError

Source = str | os.PathLike[str] | bytes | BinaryIO | Image.Image | np.ndarray | torch.Tensor

MAX_PIXELS = 64_000_000

# Pillow knows more; some of those start other programs (EPS) or hide their true size (ICO).
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM", "TGA")


def load_picture(source: Source, *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Read a picture as upright RGB.

    The EXIF orientation is applied, transparency is laid over white, 16-bit and float greys are
    scaled to 8 bits, and of several frames the first is taken. Arrays are [H, W] or [H, W, 1|3|4],
    of uint8, uint16, bool, or float in [0, 1]; tensors may also be [1|3|4, H, W]. The source stays
    as it was: a stream is left open, a PIL picture or an array unchanged.

    Args:
        max_pixels: larger pictures are refused, files by their header, before decoding. Pillow's
            own limit (2 x `PIL.Image.MAX_IMAGE_PIXELS`) stands above it.

    Raises:
        PictureError: the source is missing, empty, damaged, too large, or not a picture.
    """
    if isinstance(source, torch.Tensor):
        source = _channels_last(source)
    if isinstance(source, np.ndarray):
        source = _from_array(source)
    name = _name(source)
    if isinstance(source, Image.Image):
        return _finish(source, name, max_pixels)
    with _open_stream(source, name) as stream, _open_image(stream, name) as image:
        return _finish(image, name, max_pixels)


def _name(source: Source) -> str:
    if not isinstance(source, (str, os.PathLike)):
        return "The picture"
    name = os.fsdecode(source)
    return f"'{name}'" if len(name) <= 120 else f"'{name[:117]}...'"


def _open_stream(
    source: str | os.PathLike[str] | bytes | BinaryIO, name: str
) -> AbstractContextManager[BinaryIO]:
    if isinstance(source, bytes):
        return io.BytesIO(source)
    if isinstance(source, (str, os.PathLike)):
        return _open_path(os.fsdecode(source), name)
    if not hasattr(source, "read"):
        raise PictureError(
            f"A {type(source).__name__} is not a picture.",
            "Give a path, bytes, an open binary file, a PIL picture or an array.",
        )
    if isinstance(source, io.TextIOBase):
        raise PictureError("The picture was opened as text.", 'Open it with mode "rb".')
    return contextlib.nullcontext(source if source.seekable() else io.BytesIO(source.read()))


def _open_path(path: str, name: str) -> BinaryIO:
    if "://" in path or path.startswith("data:"):
        raise PictureError(
            f"{name} is an address, not a file.", "Download the picture first and give its path."
        )
    if os.path.isdir(path):
        raise PictureError(f"{name} is a folder.", "Give the path of one picture in it.")
    try:
        return open(path, "rb")
    except FileNotFoundError:
        raise PictureError(f"There is no file {name}.", "Check the path.") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise PictureError(f"{name} cannot be opened: {reason}.", "Check the path.") from error


def _open_image(stream: BinaryIO, name: str) -> Image.Image:
    Image.init()
    formats = [known for known in _FORMATS if known in Image.OPEN]  # older Pillow lacks AVIF
    try:
        with warnings.catch_warnings(action="ignore", category=Image.DecompressionBombWarning):
            return Image.open(stream, formats=formats)
    except Image.DecompressionBombError:
        raise _too_large(name) from None
    except UnidentifiedImageError:
        raise _not_a_picture(stream, name) from None
    except Exception as error:  # readers of damaged headers raise nearly anything
        raise _damaged(name, error) from error


def _finish(image: Image.Image, name: str, max_pixels: int) -> Image.Image:
    """Decode, turn upright and convert, once the size is found reasonable."""
    width, height = image.size
    if width * height == 0:
        raise PictureError(f"{name} has no pixels ({width} x {height}).", "Use another one.")
    if width * height > max_pixels:
        raise _too_large(name, f" ({width} x {height}; at most {max_pixels:,} are read)")
    try:
        image.load()
        return _to_rgb(_upright(image))
    except Exception as error:  # decoders of damaged data raise nearly anything
        raise _damaged(name, error) from error


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except (SyntaxError, AttributeError, LookupError, TypeError, ValueError, struct.error):
        return image  # a broken EXIF block is no reason to refuse good pixels


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "F" or image.mode.startswith("I"):
        image = Image.fromarray(_deep_grey_to_8_bit(np.asarray(image)))
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    return image.convert("RGB")


def _deep_grey_to_8_bit(grey_HW: np.ndarray) -> np.ndarray:
    """Scale by the usual white level that holds the brightest value; Pillow itself would clip."""
    peak = float(grey_HW.max())
    levels = (1, 255, 65535) if grey_HW.dtype.kind == "f" else (65535, 2**31 - 1)
    return _to_8_bit(grey_HW, next((level for level in levels if peak <= level), peak))


def _to_8_bit(values: np.ndarray, white: float) -> np.ndarray:
    scaled = values.astype(np.float32) * (255 / white)
    return np.rint(scaled).clip(0, 255).astype(np.uint8)


def _channels_last(tensor: torch.Tensor) -> np.ndarray:
    channels = (1, 3, 4)
    if tensor.ndim == 3 and tensor.shape[0] in channels and tensor.shape[2] not in channels:
        tensor = tensor.permute(1, 2, 0)
    tensor = tensor.detach().cpu()
    return (tensor.float() if tensor.is_floating_point() else tensor).numpy()


def _from_array(values: np.ndarray) -> Image.Image:
    shape = values.shape
    if values.ndim == 3 and shape[2] == 1:
        values = values[:, :, 0]
    is_picture = values.ndim == 2 or (values.ndim == 3 and shape[2] in (3, 4))
    if values.size == 0 or not is_picture:
        raise PictureError(
            f"An array of shape {shape} is not a picture.",
            "Give [height, width] or [height, width, channels] with 1, 3 or 4 channels.",
        )
    if values.dtype == np.uint8:
        return Image.fromarray(values)
    return Image.fromarray(_to_8_bit(values, _array_white(values)))


def _array_white(values: np.ndarray) -> int:
    described = f"An array of shape {values.shape} and type {values.dtype}"
    if values.dtype.kind == "f":
        low, high = float(values.min()), float(values.max())
        # Half a level of slack: what resizing overshoots is not a mistake of scale.
        if not (low * 255 >= -0.5 and high * 255 <= 255.5):
            raise PictureError(
                f"{described} holds {low:.4g} to {high:.4g}.", "Scale float values to 0 to 1."
            )
        return 1
    white = {np.bool_: 1, np.uint16: 65535}.get(values.dtype.type)
    if white is None:
        raise PictureError(f"{described} is not a picture.", "Use uint8, or float in 0 to 1.")
    return white


def _not_a_picture(stream: BinaryIO, name: str) -> PictureError:
    stream.seek(0)
    if not stream.read(1):
        return PictureError(f"{name} is empty.", "Copy or download it again.")
    return PictureError(
        f"{name} is not a picture of a known format.",
        "Use a JPEG, PNG, WebP, GIF, BMP, TIFF or AVIF file.",
    )


def _too_large(name: str, sizes: str = "") -> PictureError:
    return PictureError(
        f"{name} has too many pixels{sizes}.",
        "Scale it down first; the model looks at a few hundred pixels a side.",
    )


def _damaged(name: str, error: Exception) -> PictureError:
    reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
    return PictureError(
        f"{name} is damaged or cut short: {reason}.", "Copy or download it again, or save it anew."
    )
