"""What the settings are when the page opens, and that the browser remembers them.

A link goes before the browser's memory, and that before what suits the model. Never remembered are
prompts, which are nobody's business, and seeds, which would draw the same picture again and again.
"""

from typing import Any

import gradio as gr
from gradio.components import Component

from janus.formats import Format
from webui.ask_layout import AskLayout
from webui.draw_layout import DrawLayout
from webui.events import PAGE, Update
from webui.given import SUITED, Given
from webui.loader import Loading, ModelLoader, Ready
from webui.settings import answering, drawing, linked

# Of the browser's own storage; fixed, so that it outlives the server.
STORAGE = "janus-settings"
ANSWERS, FILES = "answers", "files"  # no names of models, under which the others are kept

Kept = dict[str, dict[str, Any]]  # values by name, by what they are for


class Opening:
    """Fills the two tabs in; to be made within the blocks."""

    def __init__(self, draw: DrawLayout, ask: AskLayout, loader: ModelLoader) -> None:
        self.draw, self.ask, self.loader = draw, ask, loader
        self.kept = gr.BrowserState({}, storage_key=STORAGE, secret=STORAGE)

    def connect(self, page: gr.Blocks) -> None:
        """Fills in what no model decides, and remembers what visitors change."""
        draw, ask = self.draw, self.ask
        filled = [draw.prompt, draw.count, draw.seed, draw.format, ask.max_tokens, ask.temperature]
        page.load(self._fill, self.kept, filled, **PAGE)
        for name in ("count", "guidance", "temperature"):
            self._remember(getattr(draw, name), name)
        for name in SUITED:
            self._note(getattr(draw, name), name)
        for name in ("max_tokens", "temperature"):
            self._remember(getattr(ask, name), name, ANSWERS)
        self._remember(draw.format, "format", FILES)

    def of_model(self, kept: Kept, given: Given, request: gr.Request) -> Update:
        """Guidance and temperature, unless the page shows them already.

        This is asked for again and again while a model is loaded, and what a person is about to
        change must not be written over.
        """
        state = self.loader.state
        if isinstance(state, Loading):
            given.begin_loading()
        asked = drawing(_part(kept, state.name)) | linked(request.query_params)
        settings = given.missing(asked)
        given.set(settings)
        if isinstance(state, Ready):
            suited = {"guidance": state.model.guidance, "temperature": state.model.temperature}
            settings |= given.missing(suited)
            given.is_for_loaded = True
        return {getattr(self.draw, name): value for name, value in settings.items()}

    def _fill(self, kept: Kept, request: gr.Request) -> Update | dict:
        asked = drawing(_part(kept, self.loader.state.name)) | linked(request.query_params)
        drawn = {name: asked[name] for name in ("prompt", "count") if name in asked}
        if "seed" in asked:
            drawn["seed"] = str(asked["seed"])
        if (format := _part(kept, FILES).get("format")) in list(Format):
            drawn["format"] = format
        answered = answering(_part(kept, ANSWERS))
        filled = {getattr(self.draw, name): value for name, value in drawn.items()} | {
            getattr(self.ask, name): value for name, value in answered.items()
        }
        return filled or gr.skip()

    def _note(self, component: Component, name: str) -> None:
        def note(given: Given, value: float) -> None:
            given.set({name: value})

        inputs = [self.draw.given, component]
        component.input(note, inputs, trigger_mode="always_last", **PAGE)  # pyright: ignore[reportAttributeAccessIssue]

    def _remember(self, component: Component, name: str, part: str | None = None) -> None:
        def remember(kept: Kept, value: Any) -> Kept:
            place = part or self.loader.state.name
            return {**_parts(kept), place: {**_part(kept, place), name: value}}

        inputs = [self.kept, component]
        component.input(  # pyright: ignore[reportAttributeAccessIssue]
            remember, inputs, self.kept, trigger_mode="always_last", **PAGE
        )


def _parts(kept: Any) -> Kept:
    """Whatever the browser's storage held."""
    return kept if isinstance(kept, dict) else {}


def _part(kept: Any, place: str) -> dict[str, Any]:
    part = _parts(kept).get(place)
    return part if isinstance(part, dict) else {}
