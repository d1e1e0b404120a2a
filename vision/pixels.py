"""From pictures to the tensors that the model takes, and from its tensors back to pictures.

In: a PIL picture (or any `Source`, see `vision.source`). Out: a square float32 tensor in [-1, 1],
either the whole picture padded (for seeing) or its middle cropped (for drawing); and PIL pictures
from decoded pixels. Knows no model and no batch of prompts.

Shapes: B pictures, 3 channels, S side of the square, H height, W width.
"""

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageOps

from vision.errors import VisionError
from vision.source import MAX_PIXELS, Source, load_picture

__all__ = [
    "MAX_PIXELS",
    "PAD_COLOR",
    "Source",
    "fitted_size",
    "load_picture",
    "to_batch",
    "to_pictures",
    "to_square_tensor",
    "to_tensor",
]

# int(0.5 * 255), as in the original processor: the weights have seen no other padding.
PAD_COLOR = (127, 127, 127)

# The shortest side that the original processor leaves to a long thin picture.
MIN_SIDE = 14


def to_batch(sources: Sequence[Source], size: int, *, max_pixels: int = MAX_PIXELS) -> torch.Tensor:
    """Load pictures and fit each into a padded square: float32 [B, 3, size, size] in [-1, 1]."""
    pictures = (load_picture(source, max_pixels=max_pixels) for source in sources)
    return torch.stack([to_tensor(picture, size) for picture in pictures])


def to_tensor(
    picture: Image.Image,
    size: int,
    *,
    pad_color: tuple[int, int, int] = PAD_COLOR,
    min_side: int = MIN_SIDE,
) -> torch.Tensor:
    """Fit a whole RGB picture into a padded square: float32 [3, size, size] in [-1, 1].

    What the encoder for seeing takes, as deepseek-ai/Janus `image_processing_vlm.py` makes it.
    """
    width, height = fitted_size(*picture.size, size, min_side=min_side)
    resized = picture.resize((width, height), Image.Resampling.BICUBIC)
    square = Image.new("RGB", (size, size), pad_color)
    square.paste(resized, ((size - width) // 2, (size - height) // 2))
    return _normalize(square)


def fitted_size(width: int, height: int, size: int, *, min_side: int = MIN_SIDE) -> tuple[int, int]:
    """(width, height) once the longest side is scaled to `size`.

    The other side is truncated, not rounded (transformers rounds), because the weights were
    trained with it, and is at least `min_side`.
    """
    longest = max(width, height)

    def fit(side: int) -> int:
        return min(max(int(side / longest * size), min_side), size)

    return fit(width), fit(height)


def to_square_tensor(picture: Image.Image, size: int) -> torch.Tensor:
    """Crop the middle square of an RGB picture: float32 [3, size, size] in [-1, 1].

    The short side becomes `size`: what the VQ tokenizer takes, and what drawing is trained on.
    """
    return _normalize(ImageOps.fit(picture, (size, size), Image.Resampling.BICUBIC))


def to_pictures(pixels_B3HW: torch.Tensor) -> list[Image.Image]:
    """Turn decoded pixels in [-1, 1], of any float type and on any device, into RGB pictures.

    Values are truncated to 8 bits, not rounded, as the original `generation_inference.py` does.
    """
    if pixels_B3HW.ndim != 4 or pixels_B3HW.shape[1] != 3:
        raise VisionError(f"Pixels must be [B, 3, H, W], got {list(pixels_B3HW.shape)}.")
    levels_B3HW = ((pixels_B3HW.detach().float() + 1) / 2 * 255).clamp(0, 255).to(torch.uint8)
    levels_BHW3 = levels_B3HW.permute(0, 2, 3, 1).contiguous().cpu().numpy()
    return [Image.fromarray(levels_HW3) for levels_HW3 in levels_BHW3]


def _normalize(picture: Image.Image) -> torch.Tensor:
    levels_SS3 = torch.from_numpy(np.array(picture))
    return levels_SS3.permute(2, 0, 1).contiguous().float().div(255).sub(0.5).div(0.5)
