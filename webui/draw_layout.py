"""How the Draw tab looks: its components and where they stand. Nothing happens here."""

from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.components import Component
from gradio.i18n import I18nData

from janus.generation.params import DrawParams
from webui import markup
from webui.link_button import LinkButton
from webui.settings import COUNTS
from webui.sliders import slider
from webui.texts import text


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawLayout:
    prompt: gr.Textbox
    examples: gr.Dataset
    count: gr.Radio
    seed: gr.Textbox
    start: gr.Button
    stop: gr.Button
    guidance: gr.Slider
    temperature: gr.Slider
    stage: gr.Image
    progress: gr.HTML
    gallery: gr.Gallery
    actions: gr.Row  # for the chosen picture
    use_seed: gr.Button
    use_all: gr.Button
    ask_about: gr.Button
    copy_link: LinkButton
    match: gr.Button
    drawn: gr.State  # what the gallery shows: paths and captions, newest first
    opened: gr.State  # the path of the picture that is open in it, or None
    chosen: gr.State  # that path, or else that of the newest

    @property
    def settings(self) -> tuple[Component, ...]:
        """All that decides what is drawn."""
        return self.prompt, self.count, self.seed, self.guidance, self.temperature


def lay_out() -> DrawLayout:
    """Places the components into the current block."""
    with gr.Row(elem_classes="columns"):
        with gr.Column(scale=1, min_width=280):
            controls = _controls()
        with gr.Column(scale=1, min_width=280):
            stage = gr.Image(
                label=text("draw.stage"),
                show_label=False,
                interactive=False,
                buttons=["fullscreen"],
                elem_id="stage",
            )
            progress = gr.HTML(markup.note(""), padding=False, elem_id="progress")
    gallery = gr.Gallery(
        label=text("draw.gallery"),
        columns=6,
        object_fit="contain",
        buttons=["download", "fullscreen"],
        interactive=False,
        fit_columns=False,
        visible=False,
        elem_id="gallery",
    )
    return DrawLayout(
        **controls,
        **_actions(),
        stage=stage,
        progress=progress,
        gallery=gallery,
        drawn=gr.State([]),
        opened=gr.State(None),
        chosen=gr.State(None),
    )


def _controls() -> dict:
    prompt = gr.Textbox(
        label=text("draw.prompt"),
        placeholder=text("draw.prompt.placeholder"),
        max_lines=4,
        autofocus=True,
        elem_id="prompt",
    )
    chips = gr.Dataset(
        label=text("draw.examples"),
        components=[prompt],
        samples=[],  # they come when the page loads, in the visitor's language
        layout="gallery",
        elem_id="examples",
    )
    with gr.Row(elem_classes="settings"):
        count = gr.Radio(COUNTS, value=1, label=text("draw.count"), min_width=150, elem_id="count")
        # Not gr.Number: it shows 0 where there is none, and browsers round large seeds.
        seed = gr.Textbox(
            label=text("draw.seed"),
            placeholder=text("draw.seed.placeholder"),
            max_lines=1,
            min_width=120,
            elem_id="seed",
        )
    start = gr.Button(text("draw.start"), variant="primary", size="lg", elem_id="draw")
    stop = gr.Button(text("stop"), variant="stop", size="lg", visible=False, elem_id="stop-drawing")
    with gr.Accordion(text("draw.more"), open=False):
        guidance = slider(DrawParams, "guidance", text("draw.guidance"), step=0.5)
        temperature = slider(DrawParams, "temperature", text("draw.temperature"), step=0.05)
    return {
        "prompt": prompt,
        "examples": chips,
        "count": count,
        "seed": seed,
        "start": start,
        "stop": stop,
        "guidance": guidance,
        "temperature": temperature,
    }


def _actions() -> dict:
    with gr.Row(visible=False, elem_classes="actions", elem_id="actions") as actions:
        return {
            "actions": actions,
            "use_seed": action(text("action.seed"), "use-seed"),
            "use_all": action(text("action.all"), "use-all"),
            "ask_about": action(text("action.ask"), "ask-about"),
            "copy_link": LinkButton.lay_out("copy-link"),
            "match": action(text("action.match"), "match"),
        }


def action(label: I18nData, elem_id: str, **options: Any) -> gr.Button:
    """A small button below pictures."""
    return gr.Button(label, size="sm", min_width=110, elem_id=elem_id, **options)
