"""What all events of the page have in common.

Events that need the model share one limit: several may run, because the engine advances all their
requests in the same steps. None of them is part of the public API; `endpoints` is.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from gradio.events import Dependency

from webui.texts import text

AT_ONCE = 8  # requests that are in the engine together; more wait in the queue

PAGE: Mapping[str, Any] = MappingProxyType(
    {"api_visibility": "private", "show_progress": "hidden", "queue": False}
)
ENGINE: Mapping[str, Any] = MappingProxyType(
    {**PAGE, "queue": True, "concurrency_id": "engine", "concurrency_limit": AT_ONCE}
)

HIDDEN, SHOWN = {"visible": False}, {"visible": True}
OFF, ON = {"interactive": False}, {"interactive": True}
# Of a stop button. An event can be stopped once the server has begun with it, which it says by
# `STOPPABLE`. A stopped event goes on for a moment; Gradio drops, without a word, whatever tries to
# start it again before its end.
STARTING = SHOWN | OFF
STOPPABLE = {"__type__": "update", **ON}
STOPPING = OFF | {"value": text("stopping")}
STOPPED = HIDDEN | ON | {"value": text("stop")}

Listen = Callable[..., Any]  # such as `button.click`
Update = dict[Any, Any]  # a component's new value, by component


def in_browser(listeners: Sequence[Listen], changes: Mapping[Any, dict[str, Any]]) -> None:
    """Changes properties of components at once, without asking the server.

    To be called before others listen to the same: Gradio serves one listener after the other.
    """
    updates = [{"__type__": "update", **properties} for properties in changes.values()]
    for listen in listeners:
        listen(None, outputs=list(changes), js=f"() => {json.dumps(updates)}", **PAGE)


def endings(event: Dependency) -> list[Listen]:
    """Listeners for the end of an event. Not `then` alone: it does not hear of failures."""
    return [event.then, event.failure]
