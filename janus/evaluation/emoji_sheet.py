"""The drawings of an exam -> one contact sheet: each with its prompt, wrong ones marked.

Pictures are enlarged without smoothing tricks, so that nobody sees more than the model drew.
"""

import textwrap
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

COLUMNS = 8
SIDE = 128  # of a picture on the sheet, in pixels
TEXT_HEIGHT = 58
GAP = 10
LINE_LENGTH = 20  # characters of a prompt on one line
INK, WRONG = (40, 40, 40), (200, 30, 30)


def draw_sheet(drawings: Sequence[tuple[str, Image.Image, bool]]) -> Image.Image:
    """`drawings` are (prompt, picture, right or wrong); a wrong one has a red frame and a cross."""
    num_rows = -(-len(drawings) // COLUMNS)
    size = (COLUMNS * (SIDE + GAP) + GAP, num_rows * (SIDE + TEXT_HEIGHT + GAP) + GAP)
    sheet = Image.new("RGB", size, "white")
    for i, drawing in enumerate(drawings):
        left = GAP + i % COLUMNS * (SIDE + GAP)
        top = GAP + i // COLUMNS * (SIDE + TEXT_HEIGHT + GAP)
        _place(sheet, left, top, *drawing)
    return sheet


def _place(
    sheet: Image.Image, left: int, top: int, prompt: str, picture: Image.Image, right: bool
) -> None:
    pen = ImageDraw.Draw(sheet)
    sheet.paste(picture.resize((SIDE, SIDE), Image.Resampling.BICUBIC), (left, top))
    frame = (left - 1, top - 1, left + SIDE, top + SIDE)
    pen.rectangle(frame, outline=INK if right else WRONG, width=1 if right else 3)
    label = prompt if right else f"x {prompt}"
    lines = textwrap.wrap(label, LINE_LENGTH)[:4]
    font = ImageFont.load_default(11)
    pen.text((left, top + SIDE + 3), "\n".join(lines), fill=INK if right else WRONG, font=font)
