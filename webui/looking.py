"""Where the model looked for an answer, as pictures with a glow.

In: the model, and a conversation whose last turn has pictures and an answer. Out: its pictures,
made small enough to be shown. Knows no Gradio.
"""

from typing import TYPE_CHECKING

from webui.answering import with_history
from webui.conversation import Turns
from webui.pictures import open_upload

if TYPE_CHECKING:
    from PIL.Image import Image

    from janus.pipeline import Janus

LONGEST_SIDE = 768  # pixels; the glow itself is far coarser


def glowing(model: "Janus", turns: Turns) -> list["Image"]:
    """The pictures of the last turn, whose question is understood as it was when it was asked."""
    from vision.overlay import overlay

    turn = turns[-1]
    pictures = [open_upload(path) for path in turn.pictures]
    places = with_history(
        turns,
        lambda told: model.looked_at(pictures, turn.question, turn.answer, history=told),
    )
    for picture in pictures:
        picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    return [overlay(picture, weights) for picture, weights in zip(pictures, places, strict=True)]
