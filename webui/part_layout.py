"""How the choice of a part of a picture looks. Nothing happens here."""

from dataclasses import dataclass

import gradio as gr

from webui import markup
from webui.texts import text


@dataclass(frozen=True, slots=True, kw_only=True)
class PartLayout:
    canvas: gr.Image
    edges: tuple[gr.Slider, gr.Slider, gr.Slider, gr.Slider]  # left, top, right, bottom
    reset: gr.Button
    path: gr.State  # of the picture that the part belongs to, or None
    corner: gr.State  # the first one of a new box, or None

    @property
    def chosen(self) -> tuple[gr.State | gr.Slider, ...]:
        return self.path, *self.edges


def lay_out() -> PartLayout:
    """Places the components into the current block."""
    with gr.Accordion(text("part.open"), open=False, elem_id="part"):
        gr.HTML(markup.part(), padding=False)
        canvas = gr.Image(
            label=text("part.canvas"),
            show_label=False,
            alt_text=str(text("part.canvas")),
            interactive=False,
            buttons=[],
            height=280,
            elem_id="canvas",
        )
        with gr.Row():
            left = gr.Slider(0, 100, 0, step=1, label=text("part.left"), min_width=200)
            right = gr.Slider(0, 100, 100, step=1, label=text("part.right"), min_width=200)
        with gr.Row():
            top = gr.Slider(0, 100, 0, step=1, label=text("part.top"), min_width=200)
            bottom = gr.Slider(0, 100, 100, step=1, label=text("part.bottom"), min_width=200)
        reset = gr.Button(text("part.reset"), variant="secondary", size="sm", elem_id="reset-part")
    return PartLayout(
        canvas=canvas,
        edges=(left, top, right, bottom),
        reset=reset,
        path=gr.State(None),
        corner=gr.State(None),
    )
