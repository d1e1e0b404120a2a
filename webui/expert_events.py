"""Which experts worked on a drawing or on an answer: a button of either tab, and what it shows.

The model reads the finished drawing or answer once more, in a pass of its own. Buttons are seen
where the model has experts.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gradio as gr
from gradio.components import Component

from janus.errors import UsageError
from webui import expert_map, markup
from webui.answering import with_history
from webui.conversation import Turns
from webui.errors import errors_as, toast
from webui.events import ENGINE, HIDDEN, OFF, ON, SHOWN, Update, endings, in_browser
from webui.loader import ModelLoader, Ready, State
from webui.pictures import open_upload
from webui.restoring import Restored
from webui.texts import text
from webui.watching import Traces
from webui.words import words_of

if TYPE_CHECKING:
    import numpy as np

    from janus.pipeline import Janus

Counts = Mapping[str, "np.ndarray"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpertView:
    """`button` asks, `worked` shows."""

    button: gr.Button
    worked: gr.HTML

    def connect(
        self, loader: ModelLoader, count: Callable[..., Counts], inputs: list[Component]
    ) -> None:
        """`count` takes the model and the values of the inputs."""

        def show(request: gr.Request, *values: Any) -> Iterator[Update]:
            words = words_of(request)
            yield {self.worked: gr.HTML(markup.note(words("experts.begin")), **SHOWN)}
            with errors_as(toast(words)):
                try:
                    model = loader.model()
                    shown = expert_map.figure(count(model, *values), _layers(model), words)
                except Exception:
                    yield {self.worked: gr.HTML("", **HIDDEN)}
                    raise
            yield {self.worked: gr.HTML(shown)}

        in_browser([self.button.click], {self.button: OFF})
        showing = self.button.click(show, inputs, [self.worked], **ENGINE)
        in_browser(endings(showing), {self.button: ON})


def button(elem_id: str, **options: Any) -> gr.Button:
    return gr.Button(
        text("experts.show"), size="sm", min_width=110, elem_id=elem_id, **HIDDEN, **options
    )


def worked(elem_id: str) -> gr.HTML:
    return gr.HTML(elem_id=elem_id, elem_classes="experts", padding=False, **HIDDEN)


def offered(state: State) -> Update:
    """What a button becomes where this model is in use."""
    return gr.update(visible=isinstance(state, Ready) and state.model.has_experts)


def for_drawing(model: "Janus", path: str, traces: Traces) -> Counts:
    """Of a picture that was drawn in this visit."""
    drawn = Restored.read(path)
    if drawn.model != model.name:
        raise UsageError(
            f"The picture was drawn by {drawn.model}, not by {model.name}.",
            "Draw it again with the model that is loaded now.",
        )
    return model.experts_for_drawing(drawn.prompt, traces.ids[path])


def for_answer(model: "Janus", turns: Turns) -> Counts:
    """Of the last answer."""
    turn = turns[-1]
    pictures = [open_upload(path) for path in turn.pictures]
    counts = with_history(
        turns,
        lambda told: model.experts_for_answer(pictures, turn.question, turn.answer, history=told),
    )
    return {kind: chosen for kind, chosen in counts.items() if chosen.any()}


def _layers(model: "Janus") -> list[int]:
    config = model.model.config.transformer
    return [i for i in range(config.num_hidden_layers) if not config.is_dense(i)]
