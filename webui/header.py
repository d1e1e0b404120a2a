"""The head of the page: its name, what the model is and knows, and another one a click away."""

from dataclasses import dataclass

import gradio as gr

from webui import markup
from webui.errors import toasts
from webui.events import PAGE
from webui.loader import Loading, ModelLoader
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


def connect(page: gr.Blocks, header: Header, loader: ModelLoader, examples: gr.Dataset) -> None:
    """Keeps chip and examples true to the model, by looking again for as long as one is loaded."""

    def look() -> tuple[str, gr.Timer, gr.Dataset]:
        samples = [[prompt] for prompt in examples_for(loader.state.name)]
        is_loading = isinstance(loader.state, Loading)
        chip = markup.chip(loader.state)
        return chip, gr.Timer(active=is_loading), gr.Dataset(samples=samples)

    def load(name: str) -> tuple[str, gr.Timer, gr.Dataset]:
        with toasts():
            loader.start(name)
        return look()

    outputs = [header.chip, header.timer, examples]
    gr.on([header.timer.tick, page.load], look, outputs=outputs, **PAGE)
    if header.load and header.choice:
        header.load.click(load, header.choice, outputs, **PAGE)


def examples_for(name: str) -> tuple[str, ...]:
    """Prompts that suit a model."""
    entry = catalog.find(name)
    return EXAMPLES["emoji" if entry and entry.family == "emoji" else "other"]


def _choices() -> list[tuple[str, str]]:
    return [(_choice(entry), entry.name) for entry in catalog.CATALOG if entry.supported]


def _choice(entry: catalog.CatalogEntry) -> str:
    if entry.bytes is None:
        return text("model.switch.bundled", name=entry.name, licence=entry.licence)
    return text(
        "model.switch.choice", name=entry.name, size=size(entry.bytes), licence=entry.licence
    )
