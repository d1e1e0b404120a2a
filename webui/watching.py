"""While a drawing grows: its ids as a mosaic, below the preview, for whoever wants to see them.

The switch works in the middle of a drawing, too: what somebody draws leaves its last step in a
state of theirs, beside the switch's. Nothing is painted while it is off.
"""

import base64
import io
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING

import gradio as gr

from webui.events import PAGE, Update
from webui.texts import text
from webui.words import Words, words_of

if TYPE_CHECKING:
    from PIL.Image import Image

    from janus.generation.results import DrawStep, Picture


@dataclass(slots=True)
class Traces:
    """What the drawings of one visitor left on the server, besides files."""

    is_watched: bool = False
    step: "DrawStep | None" = None  # of the drawing in progress, or of the last
    ids: dict[str, tuple[int, ...]] = field(default_factory=dict)  # of pictures, by their paths

    def keep(self, pictures: Mapping[str, "Picture"], shown: Container[str]) -> None:
        """The ids of new pictures; of all, only those at paths that are shown."""
        ids = self.ids | {path: picture.ids for path, picture in pictures.items()}
        self.ids = {path: ids[path] for path in ids if path in shown}


@dataclass(frozen=True, slots=True, kw_only=True)
class Watching:
    switch: gr.Checkbox
    mosaic: gr.HTML
    traces: gr.State

    def update(self, traces: Traces, words: Words) -> Update:
        """After a new step."""
        if not (traces.is_watched and traces.step):
            return {}
        return {self.mosaic: figure(traces.step, words)}


def lay_out() -> Watching:
    """Places the components into the current block, and connects them."""
    switch = gr.Checkbox(label=text("watch.switch"), container=False, elem_id="watch")
    mosaic = gr.HTML(visible=False, padding=False, elem_id="mosaic")
    watching = Watching(switch=switch, mosaic=mosaic, traces=gr.State(Traces()))

    def watch(is_on: bool, traces: Traces, request: gr.Request) -> gr.HTML:
        traces.is_watched = is_on
        words = words_of(request)
        return gr.HTML(watching.update(traces, words).get(mosaic, ""), visible=is_on)

    switch.change(watch, [switch, watching.traces], mosaic, **PAGE)
    return watching


def figure(step: "DrawStep", words: Words) -> str:
    """The mosaic with a line that says what it shows."""
    said = words("watch.so.far", done=step.index, total=step.total, passes=step.passes)
    key = words("watch.key.done") if step.finished else words("watch.key")
    source = f"data:image/png;base64,{base64.b64encode(_png(step.mosaic())).decode()}"
    return (
        f'<figure><img src="{source}" alt="{escape(said)}">'
        f'<figcaption class="note">{escape(said)}<br>{escape(key)}</figcaption></figure>'
    )


def _png(picture: "Image") -> bytes:
    file = io.BytesIO()
    picture.save(file, format="PNG")
    return file.getvalue()
