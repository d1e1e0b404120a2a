"""A picture with a glow over those parts of it that a model looked at.

In: a picture and a square of weights, 0 to 1, over the padded square that the model sees. Out: a
picture of the same size. Runs no model.
"""

import numpy as np
from PIL import Image

from vision.pixels import fitted_size

GLOW = (255, 196, 0)
SHADE = 0.45  # how much is left of the light where nothing was looked at


def overlay(picture: Image.Image, weights_GG: np.ndarray) -> Image.Image:
    """The picture, darker where the weights are small, and glowing where they are large."""
    weights_HW1 = _over(picture, weights_GG)[..., None]
    pixels_HW3 = np.asarray(picture.convert("RGB"), dtype=np.float32)
    lit_HW3 = pixels_HW3 * (SHADE + (1 - SHADE) * weights_HW1)
    glow_HW1 = 0.35 * weights_HW1
    mixed_HW3 = lit_HW3 * (1 - glow_HW1) + np.array(GLOW, dtype=np.float32) * glow_HW1
    return Image.fromarray(mixed_HW3.round().astype(np.uint8))


def _over(picture: Image.Image, weights_GG: np.ndarray) -> np.ndarray:
    """The part of the square that is not padding, as large as the picture: [H, W]."""
    side = max(picture.size)
    square = Image.fromarray(weights_GG.astype(np.float32)).resize(
        (side, side), Image.Resampling.BICUBIC
    )
    width, height = fitted_size(*picture.size, side)
    left, top = (side - width) // 2, (side - height) // 2
    part = square.crop((left, top, left + width, top + height)).resize(picture.size)
    return np.asarray(part).clip(0, 1)
