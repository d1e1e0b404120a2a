"""The key of a visitor's library, which only their browser keeps."""

import gradio as gr
from gradio.components import Component

from webui.events import PAGE
from webui.libraries import as_key

# Of the browser's own storage. Fixed, so that the key outlives the server; Gradio encrypts what it
# stores by a secret that the page knows, which keeps nothing from anybody.
STORAGE = "janus-library"


def library_key(page: gr.Blocks, *, is_needed: bool) -> Component:
    """A component that holds the key, or nothing where none is needed."""
    if not is_needed:
        return gr.State(None)
    key = gr.BrowserState("", storage_key=STORAGE, secret=STORAGE)
    page.load(as_key, key, key, **PAGE)
    return key
