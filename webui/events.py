"""What all events of the page have in common.

Events that need the model share one limit: several may run, because the engine advances all their
requests in the same steps. None of them is part of the public API; `endpoints` is.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import gradio as gr
from gradio.events import Dependency

AT_ONCE = 8  # requests that are in the engine together; more wait in the queue

PAGE: Mapping[str, Any] = MappingProxyType(
    {"api_visibility": "private", "show_progress": "hidden", "queue": False}
)
ENGINE: Mapping[str, Any] = MappingProxyType(
    {**PAGE, "queue": True, "concurrency_id": "engine", "concurrency_limit": AT_ONCE}
)

Listen = Callable[..., Any]  # such as `button.click`
Update = dict[Any, Any]  # a component's new value, by component


def exchange(listeners: Sequence[Listen], hidden: gr.Button, shown: gr.Button) -> None:
    """Puts one button in the place of another, in the browser, without asking the server."""
    for listen in listeners:
        listen(
            lambda: (gr.Button(visible=False), gr.Button(visible=True)),
            outputs=[hidden, shown],
            js=True,
            **PAGE,
        )


def endings(event: Dependency) -> list[Listen]:
    """Listeners for the end of an event. Not `then` alone: it does not hear of failures."""
    return [event.then, event.failure]
