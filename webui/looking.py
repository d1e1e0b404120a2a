"""Where the model looked for an answer, as pictures with a glow.

In: the model, and a turn that has pictures and an answer. Out: its pictures, made small enough to
be shown. Knows no Gradio.
"""

from typing import TYPE_CHECKING

from webui.conversation import Turn
from webui.pictures import open_upload

if TYPE_CHECKING:
    from PIL.Image import Image

    from janus.pipeline import Janus

LONGEST_SIDE = 768  # pixels; the glow itself is far coarser


def glowing(model: "Janus", turn: Turn) -> list["Image"]:
    """The pictures of the turn. Earlier turns play no part in it."""
    from vision.overlay import overlay

    pictures = [open_upload(path) for path in turn.pictures]
    places = model.looked_at(pictures, turn.question, turn.answer)
    for picture in pictures:
        picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    return [overlay(picture, weights) for picture, weights in zip(pictures, places, strict=True)]
