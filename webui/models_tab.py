"""The Models tab: every model in the catalogue, one click away.

Only where the machine belongs to whoever looks at the page: the model is exchanged for everybody,
and may be downloaded first.
"""

import gradio as gr

from webui import markup
from webui.errors import errors_as, toast
from webui.events import PAGE
from webui.header import Header
from webui.loader import ModelLoader
from webui.texts import size, text
from weights import catalog


def models_tab(loader: ModelLoader, header: Header) -> None:
    """Places the components into the current block and connects them."""

    def load(name: str) -> tuple[str, gr.Timer]:
        with errors_as(toast):
            loader.start(name)
        return markup.chip(loader.state), gr.Timer(active=True)

    choice = gr.Radio(
        [(_label(entry), entry.name) for entry in catalog.CATALOG if entry.supported],
        value=catalog.BUNDLED,
        label=text("models.label"),
        info=text("models.info"),
        elem_id="models",
    )
    details = gr.HTML(markup.details(catalog.BUNDLED))
    start = gr.Button(text("models.load"), variant="primary", elem_id="load")
    choice.change(markup.details, choice, details, **PAGE)
    start.click(load, choice, [header.chip, header.timer], **PAGE)


def _label(entry: catalog.CatalogEntry) -> str:
    amount = size(entry.bytes) if entry.bytes else text("models.bundled")
    return f"{entry.name} · {amount}"
