"""A choice that the browser remembers: it is the same on the next visit."""

from collections.abc import Container

import gradio as gr
from gradio.components import Component

from webui.events import PAGE


def remember(page: gr.Blocks, choice: Component, *, name: str, known: Container[str]) -> None:
    """Keeps the choice under a name of its own; what it does not know, it forgets."""
    # The secret is fixed, so that what is stored outlives the server.
    kept = gr.BrowserState(None, storage_key=name, secret=name)
    page.load(lambda kept: kept if kept in known else gr.skip(), kept, choice, **PAGE)
    choice.input(lambda chosen: chosen, choice, kept, **PAGE)  # pyright: ignore[reportAttributeAccessIssue]
