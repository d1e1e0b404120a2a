"""How the Ask tab looks: its components and where they stand. Nothing happens here."""

from dataclasses import dataclass

import gradio as gr
from gradio.i18n import I18nData

from janus.generation.params import TextParams
from webui import expert_events, markup, part_layout
from webui.expert_events import ExpertView
from webui.part_layout import PartLayout
from webui.sliders import slider
from webui.texts import text

PANEL_HEIGHT = 440  # pixels, of pictures and conversation side by side
MOST_CHIPS = 5
LONGEST_ANSWER = 2048  # tokens that can be asked for here


@dataclass(frozen=True, slots=True, kw_only=True)
class AskLayout:
    pictures: gr.Gallery
    chips: tuple[gr.Button, ...]  # what they say comes when the page loads
    clear: gr.Button
    part: PartLayout
    chat: gr.Chatbot
    question: gr.Textbox
    start: gr.Button
    stop: gr.Button
    look: gr.Button
    draw: gr.Button
    experts: ExpertView
    status: gr.HTML
    max_tokens: gr.Slider
    temperature: gr.Slider
    looked: gr.Column  # seen once somebody wants to know
    glow: gr.Gallery
    turns: gr.State


def lay_out() -> AskLayout:
    """Places the components into the current block."""
    with gr.Row(elem_classes="columns"):
        with gr.Column(scale=1, min_width=280):
            pictures = gr.Gallery(
                label=text("ask.pictures"),
                file_types=["image"],
                sources=["upload", "clipboard", "webcam"],
                interactive=True,
                columns=3,
                height=PANEL_HEIGHT,
                object_fit="contain",
                buttons=[],
                elem_id="pictures",
            )
            with gr.Row(elem_id="chips"):
                chips = tuple(_chip(number) for number in range(MOST_CHIPS))
            part = part_layout.lay_out()
        with gr.Column(scale=1, min_width=280):
            chat = gr.Chatbot(
                label=text("ask.chat"),
                show_label=False,
                placeholder=str(text("ask.placeholder")),
                buttons=["copy"],
                editable="user",
                group_consecutive_messages=False,  # or a question with pictures cannot be edited
                height=PANEL_HEIGHT,
                allow_file_downloads=False,
                elem_id="chat",
            )
            with gr.Row(elem_classes="question"):
                question = gr.Textbox(
                    label=text("ask.question"),
                    show_label=False,
                    container=False,
                    placeholder=text("ask.question.placeholder"),
                    max_lines=4,
                    scale=5,
                    min_width=160,
                    elem_id="question",
                )
                start = gr.Button(
                    text("ask.start"), variant="primary", scale=1, min_width=80, elem_id="ask"
                )
                stop = gr.Button(
                    text("stop"),
                    variant="stop",
                    scale=1,
                    min_width=80,
                    visible=False,
                    elem_id="stop-answer",
                )
                clear = gr.Button(
                    text("ask.clear"), variant="secondary", scale=1, min_width=80, elem_id="clear"
                )
            with gr.Row(elem_classes="actions"):
                look = _button(text("ask.look"), "look")
                draw = _button(text("ask.draw"), "draw-answer")
                show_experts = expert_events.button("show-answer-experts", interactive=False)
            status = gr.HTML(markup.note(""), padding=False, elem_id="ask-status")
            with gr.Accordion(text("ask.settings"), open=False, elem_id="answers"):
                max_tokens = slider(
                    TextParams,
                    "max_tokens",
                    text("ask.length"),
                    step=16,
                    lowest=16,
                    highest=LONGEST_ANSWER,
                )
                temperature = slider(TextParams, "temperature", text("ask.temperature"), step=0.05)
    with gr.Column(visible=False, elem_id="looked") as looked:
        glow = gr.Gallery(
            label=text("ask.look"),
            columns=4,
            object_fit="contain",
            buttons=["download", "fullscreen"],
            interactive=False,
            format="png",
            elem_id="glow",
        )
        gr.HTML(markup.look(), padding=False)
    worked = expert_events.worked("answer-experts")
    return AskLayout(
        pictures=pictures,
        chips=chips,
        clear=clear,
        part=part,
        chat=chat,
        question=question,
        start=start,
        stop=stop,
        max_tokens=max_tokens,
        temperature=temperature,
        look=look,
        draw=draw,
        experts=ExpertView(button=show_experts, worked=worked),
        status=status,
        looked=looked,
        glow=glow,
        turns=gr.State(()),
    )


def _chip(number: int) -> gr.Button:
    return gr.Button(
        "", variant="secondary", size="sm", min_width=0, visible=False, elem_id=f"chip-{number}"
    )


def _button(label: I18nData, elem_id: str) -> gr.Button:
    """One that waits for an answer."""
    return gr.Button(
        label, variant="secondary", size="sm", min_width=80, interactive=False, elem_id=elem_id
    )
