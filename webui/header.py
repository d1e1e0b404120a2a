"""The head of the page: its name, and what the model is, knows and is doing."""

from dataclasses import dataclass

import gradio as gr

from webui import markup
from webui.draw_layout import DrawLayout
from webui.events import PAGE, Update
from webui.loader import Loading, ModelLoader, Ready, short
from webui.texts import EXAMPLES
from weights import catalog

SECONDS_BETWEEN_LOOKS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    chip: gr.HTML
    timer: gr.Timer  # runs while a model is being loaded


def lay_out(loader: ModelLoader) -> Header:
    """Places the components into the current block."""
    with gr.Row(elem_id="header"):
        gr.HTML(markup.title(), padding=False, elem_id="title")
        chip = gr.HTML(markup.chip(loader.state), padding=False, elem_id="model")
    return Header(chip=chip, timer=gr.Timer(SECONDS_BETWEEN_LOOKS))


def connect(page: gr.Blocks, header: Header, loader: ModelLoader, draw: DrawLayout) -> None:
    """Keeps the page true to the model, by looking again for as long as one is loaded."""

    def look() -> Update:
        state = loader.state
        suited: Update = {}
        if isinstance(state, Ready):
            suited[draw.guidance] = state.model.guidance
            suited[draw.temperature] = state.model.temperature
        return suited | {
            header.chip: markup.chip(state),
            header.timer: gr.Timer(active=isinstance(state, Loading)),
            draw.examples: gr.Dataset(samples=[[prompt] for prompt in examples_for(state.name)]),
        }

    outputs = [header.chip, header.timer, draw.examples, draw.guidance, draw.temperature]
    gr.on([page.load, header.timer.tick], look, outputs=outputs, **PAGE)


def examples_for(name: str) -> tuple[str, ...]:
    """Prompts that suit a model."""
    entry = catalog.find(short(name))
    return EXAMPLES["emoji" if entry and entry.family == "emoji" else "other"]
