"""The drawings of an exam -> one contact sheet: each with its prompt, wrong ones marked.

Needs the extra `train`. Pictures are enlarged without smoothing tricks, so that nobody sees more
than the model drew.
"""

import textwrap
from collections.abc import Sequence

from PIL import Image, ImageDraw

from janus.evaluation.emoji_drawing import Drawing
from janus.figures import load_font

COLUMNS = 8
SIDE = 128  # of a picture on the sheet, in pixels
TEXT_HEIGHT = 68
GAP = 10
LINE_LENGTH = 24  # characters of a prompt on one line
INK, WRONG = (40, 40, 40), (200, 30, 30)


def draw_sheet(drawings: Sequence[Drawing]) -> Image.Image:
    """A wrong one has a red frame and a cross."""
    num_rows = -(-len(drawings) // COLUMNS)
    size = (COLUMNS * (SIDE + GAP) + GAP, num_rows * (SIDE + TEXT_HEIGHT + GAP) + GAP)
    sheet = Image.new("RGB", size, "white")
    for i, drawing in enumerate(drawings):
        left = GAP + i % COLUMNS * (SIDE + GAP)
        top = GAP + i // COLUMNS * (SIDE + TEXT_HEIGHT + GAP)
        _place(sheet, left, top, drawing)
    return sheet


def _place(sheet: Image.Image, left: int, top: int, drawing: Drawing) -> None:
    pen = ImageDraw.Draw(sheet)
    colour = INK if drawing.is_right else WRONG
    sheet.paste(drawing.image.resize((SIDE, SIDE), Image.Resampling.BICUBIC), (left, top))
    frame = (left - 1, top - 1, left + SIDE, top + SIDE)
    pen.rectangle(frame, outline=colour, width=1 if drawing.is_right else 3)
    label = drawing.prompt if drawing.is_right else f"x {drawing.prompt}"
    lines = textwrap.wrap(label, LINE_LENGTH, max_lines=5, placeholder=" ...")
    pen.text((left, top + SIDE + 3), "\n".join(lines), fill=colour, font=load_font(9))
