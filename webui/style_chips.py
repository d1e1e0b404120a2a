"""The styles of the Draw tab: chips, and below them the prompt that the model gets.

Which chips there are is up to the model and the visitor's language. Draws nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

from janus.prompts.styles import asked_for, styled, styles_of
from webui import markup
from webui.events import PAGE
from webui.loader import ModelLoader
from webui.spoken import styles_for
from webui.texts import text
from webui.words import Words, words_of

NONE = ""  # the chip of those who want no style


@dataclass(frozen=True, slots=True, kw_only=True)
class StyleChips:
    choice: gr.Radio
    preview: gr.HTML


def lay_out() -> StyleChips:
    """Places the components into the current block; the chips come when the page loads."""
    blank = ("\N{NO-BREAK SPACE}", NONE)
    choice = gr.Radio([blank], value=NONE, label=text("draw.style"), elem_id="style")
    preview = gr.HTML(visible=False, padding=False, elem_id="styled")
    return StyleChips(choice=choice, preview=preview)


def connect(chips: StyleChips, prompt: gr.Textbox, loader: ModelLoader) -> None:
    """Shows the prompt in its style while it is typed."""

    def show(typed: str, style: str, request: gr.Request) -> gr.HTML:
        known = style in styles_of(loader.name)  # the model may just have been exchanged
        drawn = styled(typed, style, loader.name) if known else ""
        words = words_of(request)
        line = markup.quiet(words("draw.styled", prompt=drawn))
        return gr.HTML(line, visible=bool(drawn))

    triggers = [prompt.change, chips.choice.change]
    gr.on(triggers, show, [prompt, chips.choice], chips.preview, trigger_mode="always_last", **PAGE)


def suited(model: str, words: Words, chosen: str) -> dict[str, Any]:
    """The chips for a model; what was chosen stays so where there is a chip for it."""
    labels = styles_for(model, words)
    choices = [(words("draw.style.none"), NONE), *((labels[name], name) for name in labels)]
    kept = {} if chosen in labels else {"value": NONE}
    return {**gr.update(choices=choices), **kept}


def restored(settings: Mapping[str, Any], model: str, words: Words) -> tuple[str, str]:
    """The prompt and the chip that ask again for a picture with these settings."""
    labels = styles_for(model, words)
    shown = {name: template for name, template in styles_of(model).items() if name in labels}
    prompt, style = asked_for(settings, shown)
    return prompt, style or NONE
