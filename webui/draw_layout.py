"""How the Draw tab looks: its components and where they stand. Nothing happens here."""

from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.components import Component
from gradio.i18n import I18nData

from janus.formats import Format
from janus.generation.params import DrawParams
from webui import expert_events, markup, style_chips, watching
from webui.expert_events import ExpertView
from webui.given import Given
from webui.link_button import LinkButton
from webui.settings import COUNTS
from webui.sliders import slider
from webui.style_chips import StyleChips
from webui.texts import text
from webui.watching import Watching

FORMATS = [("PNG", Format.PNG), ("WebP", Format.WEBP), ("JPEG", Format.JPEG)]
_TELL_CARD = """element.addEventListener("click", (event) => {
    const card = event.target.closest("[data-card]");
    if (card) trigger("click", {card: card.dataset.card});
})"""


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawLayout:
    prompt: gr.Textbox
    style: StyleChips
    length: gr.HTML  # of the prompt
    examples: gr.Dataset
    count: gr.Radio
    seed: gr.Textbox
    start: gr.Button
    stop: gr.Button
    estimate: gr.HTML
    guidance: gr.Slider
    temperature: gr.Slider
    given: gr.State  # which of these two somebody set: `Given`
    format: gr.Radio  # of the files
    stage: gr.Image
    cards: gr.HTML  # in the place of the stage while nothing stands on it
    progress: gr.HTML
    watching: Watching
    gallery: gr.Gallery
    actions: gr.Row  # for the chosen picture
    use_seed: gr.Button
    use_all: gr.Button
    ask_about: gr.Button
    copy_link: LinkButton
    match: gr.Button
    experts: ExpertView
    drawn: gr.State  # what the gallery shows: paths and captions, newest first
    opened: gr.State  # the path of the picture that is open in it, or None
    chosen: gr.State  # that path, or else that of the newest

    @property
    def settings(self) -> tuple[Component, ...]:
        """All that decides what is drawn."""
        return (
            self.prompt,
            self.style.choice,
            self.count,
            self.seed,
            self.guidance,
            self.temperature,
        )


def lay_out() -> DrawLayout:
    """Places the components into the current block."""
    with gr.Row(elem_classes="columns"):
        with gr.Column(scale=1, min_width=280):
            controls = _controls()
        with gr.Column(scale=1, min_width=280):
            stage, cards = _easel()
            progress = gr.HTML(markup.note(""), padding=False, elem_id="progress")
            watched = watching.lay_out()
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
    actions = _actions()
    experts = ExpertView(
        button=actions.pop("show_experts"), worked=expert_events.worked("drawing-experts")
    )
    return DrawLayout(
        **controls,
        **actions,
        experts=experts,
        watching=watched,
        stage=stage,
        cards=cards,
        progress=progress,
        gallery=gallery,
        given=gr.State(Given()),
        drawn=gr.State([]),
        opened=gr.State(None),
        chosen=gr.State(None),
    )


def _easel() -> tuple[gr.Image, gr.HTML]:
    with gr.Column(elem_id="easel"):
        stage = gr.Image(
            label=text("draw.stage"),
            show_label=False,
            interactive=False,
            buttons=["fullscreen"],
            elem_id="stage",
        )
        cards = gr.HTML(padding=False, js_on_load=_TELL_CARD, elem_id="cards")
    return stage, cards


def _controls() -> dict:
    prompt = gr.Textbox(
        label=text("draw.prompt"),
        placeholder=text("draw.prompt.placeholder"),
        max_lines=4,
        autofocus=True,
        elem_id="prompt",
    )
    length = gr.HTML(markup.note(""), padding=False, elem_id="length")
    style = style_chips.lay_out()
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
    estimate = gr.HTML(markup.note(""), padding=False, elem_id="estimate")
    with gr.Accordion(text("draw.more"), open=False):
        guidance = slider(DrawParams, "guidance", text("draw.guidance"), step=0.5)
        temperature = slider(DrawParams, "temperature", text("draw.temperature"), step=0.05)
        format = gr.Radio(
            FORMATS,
            value=Format.PNG,
            label=text("draw.format"),
            info=text("draw.format.info"),
            elem_id="format",
        )
    return {
        "prompt": prompt,
        "style": style,
        "length": length,
        "examples": chips,
        "count": count,
        "seed": seed,
        "start": start,
        "stop": stop,
        "estimate": estimate,
        "guidance": guidance,
        "temperature": temperature,
        "format": format,
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
            "show_experts": expert_events.button("show-drawing-experts"),
        }


def action(label: I18nData, elem_id: str, **options: Any) -> gr.Button:
    """A small button below pictures."""
    return gr.Button(label, size="sm", min_width=110, elem_id=elem_id, **options)
