"""The cards on which a page invites to begin: shown for their own model, and taken with a click.

A click sets everything that decides what is drawn, and draws nothing yet.
"""

import gradio as gr

from webui import markup, style_chips
from webui.cards import cards_for
from webui.draw_layout import DrawLayout
from webui.events import PAGE, Update
from webui.given import Given
from webui.loader import ModelLoader
from webui.words import words_of

_SHOW_PROMPT = "() => document.querySelector('#prompt').scrollIntoView({block: 'nearest'})"


def connect(chip: gr.HTML, page: DrawLayout, loader: ModelLoader) -> None:
    """Keeps the cards true to the model that the chip shows."""

    def show(request: gr.Request) -> str:
        words = words_of(request)
        return markup.cards(cards_for(loader.state.name, words), words)

    def take(given: Given, event: gr.EventData, request: gr.Request) -> Update:
        words = words_of(request)
        card = cards_for(loader.state.name, words)[int(event.card)]
        params = card.settings.params
        given.set({"guidance": params.guidance, "temperature": params.temperature})
        return {
            page.prompt: card.settings.prompt,
            page.style.choice: style_chips.NONE,
            page.count: 1,
            page.seed: str(params.seed),
            page.guidance: params.guidance,
            page.temperature: params.temperature,
            page.progress: markup.note(words("draw.card")),
        }

    chip.change(show, outputs=page.cards, **PAGE)
    taken = page.cards.click(take, page.given, [*page.settings, page.progress], **PAGE)
    taken.then(None, js=_SHOW_PROMPT, **PAGE)
