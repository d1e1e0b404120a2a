"""What all events of the page have in common.

Events that need the model share one limit: several may run, because the engine advances all their
requests in the same steps. None of them is part of the public API; `endpoints` is.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import gradio as gr
from gradio.events import Dependency

from webui.locale import TAGS
from webui.texts import text
from webui.words import Words, words_in

AT_ONCE = 8  # requests that are in the engine together; more wait
IN_LINE = 16  # that are told so; each holds one of Gradio's 40 threads

PAGE: Mapping[str, Any] = MappingProxyType(
    {"api_visibility": "private", "show_progress": "hidden", "queue": False}
)
# For events that show toasts and go on: Gradio drops those of events outside its queue.
TELLING: Mapping[str, Any] = MappingProxyType({**PAGE, "queue": True, "concurrency_limit": None})
ENGINE: Mapping[str, Any] = MappingProxyType(
    {**TELLING, "concurrency_id": "engine", "concurrency_limit": AT_ONCE}
)
# For events that stand in a `Line` of their own accord.
IN_TURN: Mapping[str, Any] = MappingProxyType(
    {**TELLING, "concurrency_id": "line", "concurrency_limit": AT_ONCE + IN_LINE}
)

Listen = Callable[..., Any]  # such as `button.click`
Update = dict[Any, Any]  # a component's new value, by component
Properties = dict[str, Any]  # of a component
Changes = Mapping[Any, Properties]  # by component

HIDDEN: Properties = {"visible": False}
SHOWN: Properties = {"visible": True}
OFF: Properties = {"interactive": False}
ON: Properties = {"interactive": True}


def in_browser(listeners: Sequence[Listen], changes: Changes, *, only_if: str = "true") -> None:
    """Changes properties of components at once, without asking the server.

    `only_if` is a condition in JavaScript. To be called before others listen to the same: Gradio
    serves one listener after the other.
    """
    updates = [gr.update(**properties) for properties in changes.values()]
    nothing = json.dumps([gr.update() for _ in changes])
    for listen in listeners:
        # A `text` is translated once it is there.
        js = f"() => {only_if} ? {json.dumps(updates, default=str)} : {nothing}"
        listen(None, outputs=list(changes), js=js, **PAGE)


def endings(event: Dependency) -> list[Listen]:
    """Listeners for the end of an event. Not `then` alone: it does not hear of failures."""
    return [event.then, event.failure]


@dataclass(frozen=True, slots=True)
class StartStop:
    """Two buttons of which one is seen: that which starts an event, or that which stops it.

    An event can be stopped once the server has begun with it. A stopped event goes on for a moment,
    and Gradio drops, without a word, what tries to start it again before its end.
    """

    start: Any
    stop: Any

    def begin(self, triggers: Sequence[Listen], others: Changes = MappingProxyType({})) -> None:
        """Connects the triggers of an event; to be called before they start it."""
        # Enter in a box starts nothing while an event goes on, and must not disable its stop.
        can_start = f"document.getElementById({self.start.elem_id!r})?.offsetParent"
        changes = {self.start: HIDDEN, self.stop: SHOWN | OFF, **others}
        in_browser(triggers, changes, only_if=can_start)

    def begun(self) -> Update:
        """To be yielded first by every event."""
        return {self.stop: gr.update(**ON)}

    def end(self, *events: Dependency, others: Changes = MappingProxyType({})) -> None:
        """Connects the end of events; what the stop does to them is to be connected after it."""
        in_browser([self.stop.click], {self.stop: OFF | {"value": text("stopping")}})
        over = [listen for event in events for listen in endings(event)]
        ready = HIDDEN | ON | {"value": text("stop")}
        in_browser(over, {self.stop: ready, self.start: SHOWN, **others})


def in_page_language(say: Callable[[Words], str]) -> str:
    """JavaScript: what is said, in the language of the page."""
    said = {tag: say(words_in(tag)) for tag in TAGS}
    return f"{json.dumps(said)}[document.documentElement.lang]"
