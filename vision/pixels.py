"""Between the outside world and tensors, in both directions.

In: a path, bytes, a stream, a PIL picture or an array. Out: an upright RGB picture, and from that a
square float tensor in [-1, 1]; and the way back, from such tensors to PIL pictures. Downloads
nothing, ignores colour profiles, and leaves Pillow's global settings as they are.

Shapes: B pictures, 3 channels, S side of the square, H height, W width.
"""

import contextlib
import io
import os
import struct
import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import BinaryIO

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError

from vision.errors import PictureError, VisionError

Source = str | os.PathLike[str] | bytes | BinaryIO | Image.Image | np.ndarray | torch.Tensor

MAX_PIXELS = 64_000_000

# The grey of padding: the processor's int(0.5 * 255), the value the weights were trained with.
PAD_COLOR = (127, 127, 127)

# Pillow knows more, and some of them start other programs (EPS) or hide their true size (ICO).
_FORMATS = (
    "JPEG",
    "PNG",
    "WEBP",
    "GIF",
    "BMP",
    "TIFF",
    "AVIF",
    "JPEG2000",
    "PPM",
    "TGA",
)

_USE_A_COMMON_FORMAT = "Use a JPEG, PNG, WebP, GIF, BMP, TIFF or AVIF file."


def load_picture(source: Source, *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Read a picture from wherever it is, as upright RGB.

    The EXIF orientation is applied, transparency is laid over white, 16-bit and float greys are
    scaled to 8 bits, and of several frames the first is taken. Arrays are [H, W] or [H, W, 1|3|4],
    uint8, uint16, bool, or float in [0, 1]; torch tensors may also be [1|3|4, H, W]. The source is
    left as it was: a stream stays open, a PIL picture or an array is not changed.

    Args:
        max_pixels: more than this are refused, for files by their header, before decoding.

    Raises:
        PictureError: the source is missing, empty, damaged, too large, or not a picture.
    """
    if isinstance(source, Image.Image):
        return _finish(source, "The picture", max_pixels)
    if isinstance(source, torch.Tensor):
        source = _channels_last(source)
    if isinstance(source, np.ndarray):
        return _finish(_from_array(source), "The picture", max_pixels)
    name = _name(source)
    with _open_stream(source, name) as stream, _open_image(stream, name) as image:
        return _finish(image, name, max_pixels)


def to_tensor(
    picture: Image.Image,
    size: int,
    *,
    pad_color: tuple[int, int, int] = PAD_COLOR,
    min_side: int = 14,
) -> torch.Tensor:
    """Fit a whole RGB picture into a padded square: what the encoder for seeing takes.

    Sizes follow deepseek-ai/Janus `image_processing_vlm.py`: the longest side becomes `size`, the
    other is truncated, not rounded, and is at least `min_side`.

    Returns:
        float32 [3, size, size] in [-1, 1].
    """
    width, height = fitted_size(*picture.size, size, min_side=min_side)
    resized = picture.resize((width, height), Image.Resampling.BICUBIC)
    square = Image.new("RGB", (size, size), pad_color)
    square.paste(resized, ((size - width) // 2, (size - height) // 2))
    return _normalize(square)


def fitted_size(width: int, height: int, size: int, *, min_side: int = 14) -> tuple[int, int]:
    """(width, height) of a picture whose longest side is scaled to `size`."""
    longest = max(width, height)

    def fit(side: int) -> int:
        return min(max(int(side / longest * size), min_side), size)

    return fit(width), fit(height)


def to_batch(sources: Sequence[Source], size: int, *, max_pixels: int = MAX_PIXELS) -> torch.Tensor:
    """Load pictures and fit each into a padded square: float32 [B, 3, size, size] in [-1, 1]."""
    return torch.stack([to_tensor(load_picture(s, max_pixels=max_pixels), size) for s in sources])


def to_square_tensor(picture: Image.Image, size: int) -> torch.Tensor:
    """Scale the short side of an RGB picture to `size` and crop the centre: what drawing learns from.

    Returns:
        float32 [3, size, size] in [-1, 1].
    """
    return _normalize(ImageOps.fit(picture, (size, size), Image.Resampling.BICUBIC))


def to_pictures(pixels_B3HW: torch.Tensor) -> list[Image.Image]:
    """Turn decoded pixels in [-1, 1], of any float type and on any device, into PIL pictures.

    Values are truncated to 8 bits, not rounded, like those of the original `generation_inference.py`.
    """
    if pixels_B3HW.ndim != 4 or pixels_B3HW.shape[1] != 3:
        raise VisionError(f"Pixels must be [B, 3, H, W], got {list(pixels_B3HW.shape)}.")
    levels_B3HW = ((pixels_B3HW.detach().float() + 1) / 2 * 255).clamp(0, 255).to(torch.uint8)
    return [Image.fromarray(a) for a in levels_B3HW.permute(0, 2, 3, 1).contiguous().cpu().numpy()]


def _normalize(picture: Image.Image) -> torch.Tensor:
    levels_SS3 = torch.from_numpy(np.array(picture))
    return levels_SS3.permute(2, 0, 1).contiguous().float().div(255).sub(0.5).div(0.5)


def _name(source: Source) -> str:
    if not isinstance(source, (str, os.PathLike)):
        return "The picture"
    name = os.fsdecode(source)
    return f"'{name}'" if len(name) <= 120 else f"'{name[:117]}...'"


def _open_stream(source: Source, name: str) -> AbstractContextManager[BinaryIO]:
    if isinstance(source, bytes):
        return io.BytesIO(source)
    if isinstance(source, (str, os.PathLike)):
        return _open_path(os.fsdecode(source), name)
    if hasattr(source, "read"):
        return contextlib.nullcontext(source)  # pyright: ignore[reportReturnType]
    raise PictureError(
        f"A {type(source).__name__} is not a picture.",
        "Give a path, bytes, an open binary file, a PIL picture or an array.",
    )


def _open_path(path: str, name: str) -> BinaryIO:
    if "://" in path or path.startswith("data:"):
        raise PictureError(
            f"{name} is an address, not a file.",
            "Download the picture first and give its path.",
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
    formats = [known for known in _FORMATS if known in Image.OPEN]
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
    """Decode, turn upright and convert, once the size in the header is found reasonable."""
    width, height = image.size
    if width * height == 0:
        raise PictureError(f"{name} is {width} x {height}: it has no pixels.", "Use another one.")
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
        # The EXIF block is beyond reading; the pixels are not.
        return image


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "F" or image.mode.startswith("I"):
        image = Image.fromarray(_deep_grey_to_8_bit(np.asarray(image)))
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    return image.convert("RGB")


def _deep_grey_to_8_bit(grey_HW: np.ndarray) -> np.ndarray:
    """Scale by the usual white level that holds the brightest value; Pillow's own way is to clip."""
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
    if values.size == 0 or not (values.ndim == 2 or values.ndim == 3 and shape[2] in (3, 4)):
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
        if not (-0.5 <= low * 255 and high * 255 <= 255.5):
            raise PictureError(
                f"{described} holds {low:.4g} to {high:.4g}.",
                "Scale float values to 0 to 1.",
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
    return PictureError(f"{name} is not a picture of a known format.", _USE_A_COMMON_FORMAT)


def _too_large(name: str, sizes: str = "") -> PictureError:
    return PictureError(
        f"{name} has too many pixels{sizes}.",
        "Scale it down first; the model looks at a few hundred pixels a side.",
    )


def _damaged(name: str, error: Exception) -> PictureError:
    reason = " ".join(str(error).split()) or type(error).__name__
    return PictureError(
        f"{name} is damaged or cut short: {reason}.",
        "Copy or download it again, or save it anew.",
    )
