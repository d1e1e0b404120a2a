"""A sign that one event of a page holds up, and another one looks for.

Gradio's own cancelling waits until the event that it cancels shows something, throws that away, and
closes the event behind it. Whoever looks for a sign stops at its next step instead, and still shows
what it has.
"""

from dataclasses import dataclass

import gradio as gr

from webui.events import PAGE


@dataclass(slots=True)
class StopSign:
    """One visitor's; it is up from the wish to stop until the next beginning."""

    is_up: bool = False


def connect(button: gr.Button, sign: gr.State) -> None:
    """A click holds the sign up."""

    # In the server's own loop, so that it does not wait for a thread.
    async def hold_up(sign: StopSign) -> None:
        sign.is_up = True

    button.click(hold_up, sign, **PAGE)
