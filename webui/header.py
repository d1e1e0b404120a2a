"""The head of the page: its name, what the model is and knows, and another one a click away."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from webui import markup
from webui.errors import toasts
from webui.events import PAGE
from webui.loader import Loading, ModelLoader, Ready
from webui.texts import EXAMPLES, size, text
from weights import catalog

SECONDS_BETWEEN_LOOKS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    chip: gr.HTML
    timer: gr.Timer
    choice: gr.Radio | None  # None where visitors may not exchange the model
    load: gr.Button | None


def lay_out(loader: ModelLoader, *, can_switch: bool) -> Header:
    """Places the components into the current block."""
    with gr.Row(elem_id="header"):
        gr.HTML(markup.title(), elem_id="title")
        chip = gr.HTML(markup.chip(loader.state), elem_id="model")
    choice = load = None
    if can_switch:
        with gr.Accordion(text("model.switch"), open=False, elem_id="switch"):
            choice = gr.Radio(
                _choices(),
                value=loader.state.name,
                label=text("model.switch.label"),
                info=text("model.switch.info"),
            )
            load = gr.Button(text("model.switch.load"), size="sm", elem_id="load")
    return Header(chip=chip, timer=gr.Timer(SECONDS_BETWEEN_LOOKS), choice=choice, load=load)
