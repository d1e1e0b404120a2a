"""Ids so far -> a picture worth showing now.

Rows of codes that are complete are painted as they will look; the rest stays a quiet grey, so that
nobody takes a guess for the picture.
"""

# n ids so far, N ids of a whole picture

import torch
from PIL import Image
from torch import Tensor

from vision.pixels import to_pictures
from vision.tokenizer import ImageTokenizer

UNPAINTED = 0.84  # grey of the part to come, on the scale of pixels in [-1, 1]


@torch.inference_mode()
def preview(tokenizer: ImageTokenizer, ids: list[int], grid_size: int) -> Image.Image:
    """The picture after its first n ids, in full size. Any n from 0 to `grid_size` squared."""
    side = grid_size * tokenizer.config.downsampling
    num_rows = len(ids) // grid_size
    pixels_3SS = torch.full((3, side, side), UNPAINTED)
    if num_rows:
        painted = tokenizer.decode(_fill_up(ids, grid_size, tokenizer))[0].float().cpu()
        height = num_rows * tokenizer.config.downsampling
        pixels_3SS[:, :height] = painted[:, :height]
    return to_pictures(pixels_3SS[None])[0]


def _fill_up(ids: list[int], grid_size: int, tokenizer: ImageTokenizer) -> Tensor:
    """Repeats the last complete row to the end, so that it has a plausible neighbour below."""
    complete = ids[: len(ids) // grid_size * grid_size]
    missing_rows = grid_size - len(complete) // grid_size
    filled = complete + complete[-grid_size:] * missing_rows
    return torch.tensor([filled], device=tokenizer.post_quant_conv.weight.device)
