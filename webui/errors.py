"""Errors on their way out: what happened, and what to do about it.

In: whatever is raised. Out: Gradio's error, as a toast in the visitor's language or as plain
English for programs; what is not a `JanusError` is a fault and passes through to the log.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import escape

import gradio as gr

from janus.errors import JanusError, as_janus_error
from webui.words import Words

SECONDS = 12  # that a toast stays


@contextmanager
def errors_as(form: Callable[[JanusError], gr.Error]) -> Iterator[None]:
    """Raises the errors that are meant for people in the form that Gradio passes on."""
    try:
        yield
    except Exception as error:
        known = as_janus_error(error)
        if known is None:
            raise
        raise form(known) from error


def toast(words: Words) -> Callable[[JanusError], gr.Error]:
    def form(error: JanusError) -> gr.Error:
        return gr.Error(_told(error, words), duration=SECONDS, print_exception=False)

    return form


def warn(error: JanusError, words: Words) -> None:
    """Shows a toast and goes on; to be called within an event."""
    gr.Warning(_told(error, words), duration=SECONDS)


def plain(error: JanusError) -> gr.Error:
    return gr.Error(str(error), print_exception=False)


def _told(error: JanusError, words: Words) -> str:
    # All of it in the body: Gradio shows no title but its own, in English.
    message, hint = words.error(error)
    return "<br>".join(filter(None, [f"<strong>{escape(message)}</strong>", escape(hint)]))
