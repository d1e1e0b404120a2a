"""Errors as the page shows them: what happened above, what to do below.

In: whatever is raised. Out: a toast for a `JanusError`; anything else is a fault and passes
through to the log.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from html import escape

import gradio as gr

from janus.errors import JanusError, as_janus_error


@contextmanager
def toasts() -> Iterator[None]:
    """Shows the errors that are meant for people."""
    try:
        yield
    except Exception as error:
        known = as_janus_error(error)
        if known is None:
            raise
        raise toast(known) from error


def toast(error: JanusError) -> gr.Error:
    return gr.Error(
        escape(error.hint), title=escape(error.message), duration=12, print_exception=False
    )
