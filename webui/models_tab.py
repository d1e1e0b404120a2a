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
from webui.texts import text
from webui.words import Words, words_of
from weights import catalog


def models_tab(page: gr.Blocks, loader: ModelLoader, header: Header) -> None:
    """Places the components into the current block and connects them."""

    def load(name: str, request: gr.Request) -> tuple[str, gr.Timer]:
        words = words_of(request)
        with errors_as(toast(words)):
            loader.start(name)
        return markup.chip(loader.state, words), gr.Timer(active=True)

    def explain(name: str, request: gr.Request) -> str:
        return markup.details(name, words_of(request))

    def list_models(request: gr.Request) -> gr.Radio:
        return gr.Radio(_choices(words_of(request)))

    choice = gr.Radio(
        [entry.name for entry in catalog.CATALOG if entry.supported],
        value=catalog.BUNDLED,
        label=text("models.label"),
        info=text("models.info"),
        elem_id="models",
    )
    details = gr.HTML()
    start = gr.Button(text("models.load"), variant="primary", elem_id="load")
    page.load(list_models, outputs=choice, **PAGE)
    gr.on([page.load, choice.change], explain, choice, details, **PAGE)
    start.click(load, choice, [header.chip, header.timer], **PAGE)


def _choices(words: Words) -> list[tuple[str, str]]:
    return [(_label(entry, words), entry.name) for entry in catalog.CATALOG if entry.supported]


def _label(entry: catalog.CatalogEntry, words: Words) -> str:
    amount = words.size(entry.bytes) if entry.bytes else words("models.bundled")
    return f"{entry.name} · {amount}"
