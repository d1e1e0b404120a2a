"""The studio as a whole: builds the page, and launches it on an address.

In: a model, or a loader that will have one. Out: Gradio blocks, or a running server. The words,
looks and events of the parts live in their own files.
"""

import contextlib
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr
from starlette.middleware import Middleware

from janus.errors import ServerError
from webui import ask_layout, draw_layout, header, markup, page_language, theme
from webui.ask_events import AskEvents
from webui.draw_events import DrawEvents
from webui.endpoints import add_endpoints
from webui.loader import Loading, ModelLoader, holding, pretrained
from webui.models_tab import models_tab
from webui.pictures import Shelf
from webui.texts import text, translations

if TYPE_CHECKING:
    from fastapi import FastAPI

    from janus.pipeline import Janus

HERE = Path(__file__).parent
LARGEST_QUEUE = 32
LARGEST_UPLOAD = "20mb"
CLEAN_EVERY, CLEAN_AFTER = 3600, 86400  # seconds; old pictures leave the disk
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def build(
    model: "Janus | ModelLoader", *, can_switch: bool = False, in_small_space: bool = False
) -> gr.Blocks:
    """The page, for a model or for a loader; launch it or mount it with `look`.

    `can_switch` lets visitors exchange the model for everybody, which may download it;
    `in_small_space` tells those of a Space how to have one with a larger model.
    """
    loader = model if isinstance(model, ModelLoader) else holding(model)
    with gr.Blocks(title="Janus", delete_cache=(CLEAN_EVERY, CLEAN_AFTER)) as page:
        # In Gradio's cache, because it serves the files there, and deletes those it knows of.
        uploads = Path(page.GRADIO_CACHE)
        shelf = Shelf(uploads)
        page.temp_file_sets.append(shelf.files)
        # First, so that no event of the page takes their names.
        add_endpoints(loader, shelf, uploads=uploads)
        head = header.lay_out()
        if in_small_space:
            gr.HTML(markup.banner(), padding=False, elem_id="banner")
        with gr.Tabs() as tabs:
            with gr.Tab(text("draw.tab"), id="draw"):
                draw = draw_layout.lay_out()
                DrawEvents(draw, loader, shelf)
            with gr.Tab(text("ask.tab"), id="ask"):
                ask = ask_layout.lay_out()
                AskEvents(ask, loader, tabs, draw.prompt)
            if can_switch:
                with gr.Tab(text("models.tab"), id="models"):
                    models_tab(page, loader, head)
        header.connect(page, head, loader, draw, ask)
    return page.queue(max_size=LARGEST_QUEUE)


def launch(
    model_name: str,
    *,
    device: str,
    dtype: str,
    quantize: str | None = None,
    host: str,
    port: int,
    share: bool,
    open_browser: bool,
) -> None:
    """Serves the page until it is interrupted; the model is loaded once the page is up.

    Raises:
        ServerError: the port is taken.
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    load = pretrained(device=device, dtype=dtype, quantize=quantize)
    loader = ModelLoader(load, Loading(model_name))
    page = build(loader, can_switch=host in LOOPBACK and not share)
    address = serve(page, host=host, port=port, share=share, open_browser=open_browser)
    try:
        loader.start(model_name)
        print(f"Janus is at {address} - press Ctrl+C to stop.", file=sys.stderr, flush=True)
        while True:
            time.sleep(1)  # what Ctrl+C interrupts on every system
    except KeyboardInterrupt:
        pass
    finally:
        page.close(verbose=False)


def mount(app: "FastAPI", model: "Janus") -> None:
    """Adds the page at /, beside the addresses that the application has already."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    gr.mount_gradio_app(
        app,
        build(model),
        path="/",
        max_file_size=LARGEST_UPLOAD,
        show_error=True,
        footer_links=["api", "settings"],
        **look(),
    )


def look() -> dict[str, Any]:
    """Theme, styles, keys and languages, for `Blocks.launch` or `gradio.mount_gradio_app`."""
    return {
        "theme": theme.make(),
        "css_paths": [HERE / "style.css"],
        # Not as `js`, which Gradio runs some time after the page can be used.
        "head": f"<script>{(HERE / 'keys.js').read_text(encoding='utf-8')}</script>",
        "i18n": translations(),
        "app_kwargs": {"middleware": [Middleware(page_language.PageLanguage)]},
    }


def serve(
    page: gr.Blocks,
    *,
    host: str | None = None,
    port: int | None = None,
    share: bool = False,
    open_browser: bool = False,
) -> str:
    """Starts a server for the page in the background, and returns its address.

    Where none is given, the environment or Gradio chooses host and port.
    """
    # Gradio tells about a public address on stdout, where only results belong.
    try:
        with contextlib.redirect_stdout(sys.stderr):
            _, address, _ = page.launch(
                server_name=host,
                server_port=port,
                share=share,
                inbrowser=open_browser,
                quiet=True,
                prevent_thread_lock=True,
                show_error=True,
                run_history=False,
                footer_links=["api", "settings"],
                max_file_size=LARGEST_UPLOAD,
                **look(),
            )
    except OSError as error:
        message = f"Port {port} of {host} cannot be used: it is taken or not allowed."
        raise ServerError(message, "Choose another one with --port.") from error
    return address
