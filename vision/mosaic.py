"""Ids so far -> a mosaic: one square for each place of the picture, row by row.

A square has the colour of what its id shows alone: the decoder, which makes the real picture, looks
at all ids together. Which ids were chosen in the same pass of a model is the caller's to say.
"""

# n ids so far, N ids of a whole picture, G places along a side, M ids never seen before

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from vision.overlay import GLOW
from vision.pixels import to_pictures
from vision.tokenizer import ImageTokenizer

SIDE = 384  # pixels, about, of a mosaic
EMPTY, PAPER = (226, 226, 226), (250, 250, 250)
PATCH = 2  # places along a side: of a single one, most decoders show too strong a colour
AT_ONCE = 64  # ids that are decoded together, so that little memory is needed


class CodeColours:
    """The mean colour of a small patch of each id. Decodes an id when it is first asked for."""

    def __init__(self, tokenizer: ImageTokenizer) -> None:
        self._tokenizer = tokenizer
        self._known: dict[int, np.ndarray] = {}

    def of(self, ids: Sequence[int]) -> np.ndarray:
        """Ids of any number -> bytes [number, 3]."""
        missing = [code for code in dict.fromkeys(ids) if code not in self._known]
        for start in range(0, len(missing), AT_ONCE):
            self._learn(missing[start : start + AT_ONCE])
        return np.array([self._known[code] for code in ids], dtype=np.uint8).reshape(-1, 3)

    @torch.inference_mode()
    def _learn(self, ids: list[int]) -> None:
        device = self._tokenizer.post_quant_conv.weight.device
        ids_MN = torch.tensor(ids, device=device)[:, None].expand(-1, PATCH**2)
        colours_M311: Tensor = self._tokenizer.decode(ids_MN).float().mean((2, 3), keepdim=True)
        patches = to_pictures(colours_M311.cpu())
        self._known |= {code: np.asarray(p)[0, 0] for code, p in zip(ids, patches, strict=True)}


def mosaic(colours_n3: np.ndarray, grid_size: int, *, num_new: int = 0) -> Image.Image:
    """Any n from 0 to `grid_size` squared; of a picture to come all places are empty.

    The newest `num_new` are framed, and a dot marks the place that comes next.
    """
    cell = max(SIDE // grid_size, 6)
    picture = Image.new("RGB", (grid_size * cell + 1, grid_size * cell + 1), PAPER)
    pen = ImageDraw.Draw(picture)
    for place in range(grid_size**2):
        left, top = place % grid_size * cell, place // grid_size * cell
        box = (left + 1, top + 1, left + cell - 1, top + cell - 1)
        is_known, is_new = place < len(colours_n3), 0 < len(colours_n3) - place <= num_new
        fill = tuple(map(int, colours_n3[place])) if is_known else EMPTY
        frame = max(2, cell // 8) if is_new else 0
        pen.rectangle(box, fill=fill, outline=GLOW if is_new else None, width=frame)
        if place == len(colours_n3):
            pen.circle((left + cell / 2, top + cell / 2), cell / 5, fill=GLOW)
    return picture
