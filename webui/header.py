"""The head of the page: its name and languages, and what the model is, knows and is doing."""

from dataclasses import dataclass
from itertools import chain

import gradio as gr

from webui import camera, keys, markup, style_chips
from webui.ask_layout import AskLayout
from webui.draw_layout import DrawLayout
from webui.events import PAGE, Update
from webui.expert_events import offered
from webui.given import Given
from webui.loader import Loading, ModelLoader
from webui.opening import Kept, Opening
from webui.spoken import Chip, chips_for, examples_for
from webui.words import words_of

SECONDS_BETWEEN_LOOKS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    languages: gr.HTML
    keys: gr.HTML
    chip: gr.HTML
    timer: gr.Timer  # runs while a model is being loaded


def lay_out() -> Header:
    """Places the components into the current block; what they say comes when the page loads."""
    with gr.Row(elem_id="header"):
        gr.HTML(markup.title(), padding=False, elem_id="title")
        languages = gr.HTML(markup.languages(), padding=False, elem_id="languages")
        keys_dialog = gr.HTML(padding=False, elem_id="keys")
        chip = gr.HTML(padding=False, elem_id="model")
    return Header(
        languages=languages, keys=keys_dialog, chip=chip, timer=gr.Timer(SECONDS_BETWEEN_LOOKS)
    )


def connect(
    page: gr.Blocks,
    header: Header,
    loader: ModelLoader,
    draw: DrawLayout,
    ask: AskLayout,
    opening: Opening,
) -> None:
    """Keeps the page true to the model, by looking again for as long as one is loaded."""

    def look(kept: Kept, given: Given, style: str, request: gr.Request) -> Update:
        state, name, words = loader.state, loader.name, words_of(request)
        examples = examples_for(name, words)
        suited = _labelled(ask, chips_for(name, words)) | opening.of_model(kept, given, request)
        suited[draw.style.choice] = style_chips.suited(name, words, style)
        suited |= {view.button: offered(state) for view in (draw.experts, ask.experts)}
        return suited | {
            header.chip: markup.chip(state, words),
            header.timer: gr.Timer(active=isinstance(state, Loading)),
            draw.examples: gr.Dataset(samples=[[prompt] for prompt in examples]),
        }

    def mark(request: gr.Request) -> tuple[str, str]:
        words = words_of(request)
        return markup.languages(words), keys.dialog(words) + camera.dialog(words)

    page.load(mark, outputs=[header.languages, header.keys], **PAGE)
    outputs = [header.chip, header.timer, draw.examples, draw.guidance, draw.temperature]
    outputs += [draw.style.choice, *ask.chips, draw.experts.button, ask.experts.button]
    inputs = [opening.kept, draw.given, draw.style.choice]
    gr.on([page.load, header.timer.tick], look, inputs, outputs, **PAGE)


def _labelled(ask: AskLayout, chips: list[Chip]) -> Update:
    spare = (gr.update(visible=False) for _ in ask.chips)
    labelled = (gr.update(value=chip.label, visible=True) for chip in chips)
    return dict(zip(ask.chips, chain(labelled, spare), strict=False))
