"""The studio as a whole: builds the page, and launches it on an address.

In: a model, or a loader that will have one. Out: Gradio blocks, or a running server. The words,
looks and events of the parts live in their own files.
"""

import contextlib
import io
import os
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr
import platformdirs
from starlette.middleware import Middleware

from janus.errors import ServerError, UsageError
from webui import (
    ask_layout,
    card_events,
    cards,
    draw_layout,
    header,
    hints,
    library_layout,
    markup,
    page_language,
    theme,
    toasts,
)
from webui.about_tab import about_tab
from webui.ask_events import AskEvents
from webui.draw_events import DrawEvents
from webui.endpoints import add_endpoints
from webui.estimates import Estimates
from webui.events import AT_ONCE
from webui.libraries import Owned, PerBrowser
from webui.library import Library
from webui.library_events import LibraryEvents
from webui.library_key import library_key
from webui.line import Line
from webui.loader import Loading, ModelLoader, holding, pretrained
from webui.models_tab import models_tab
from webui.opening import Opening
from webui.picture_actions import PictureActions
from webui.texts import text, translations

if TYPE_CHECKING:
    from fastapi import FastAPI

    from janus.pipeline import Janus

HERE = Path(__file__).parent
SCRIPTS = ("keys.js", "incoming.js", "camera.js", "mending.js", "calm.js")
LARGEST_QUEUE = 32
LARGEST_UPLOAD = "20mb"
CLEAN_EVERY, CLEAN_AFTER = 3600, 86400  # seconds; old pictures leave the disk
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def build(
    model: "Janus | ModelLoader",
    *,
    library: Path | None = None,
    can_switch: bool = False,
    in_small_space: bool = False,
) -> gr.Blocks:
    """The page, for a model or for a loader; launch it or mount it with `look`.

    Pictures go to the folder `library`, which everybody who reaches the page may look into;
    without one, each browser has a library of its own, for a day. `can_switch` lets visitors
    exchange the model for everybody, which may download it; `in_small_space` tells those of a Space
    how to have one with a larger model.
    """
    loader = model if isinstance(model, ModelLoader) else holding(model)
    with gr.Blocks(title="Janus", delete_cache=(CLEAN_EVERY, CLEAN_AFTER)) as page:
        # In Gradio's cache, because it serves the files there, and deletes those it knows of.
        uploads = Path(page.GRADIO_CACHE)
        visitors = PerBrowser(uploads)
        page.temp_file_sets.append(visitors.files)
        # First, so that no event of the page takes their names.
        add_endpoints(loader, visitors, uploads=uploads)
        gr.set_static_paths(cards.FOLDER)
        if library:
            gr.set_static_paths(library)  # shown as they are, without a copy in the cache
        libraries = Owned(Library(library)) if library else visitors
        key = library_key(page, is_needed=library is None)
        line, estimates = Line(AT_ONCE), Estimates()
        head = header.lay_out()
        if in_small_space:
            gr.HTML(markup.banner(), padding=False, elem_id="banner")
        with gr.Tabs(overflow_behavior="wrap") as tabs:
            with gr.Tab(text("draw.tab"), id="draw"):
                draw = draw_layout.lay_out()
                DrawEvents(draw, loader, libraries, key, line, estimates)
            with gr.Tab(text("ask.tab"), id="ask"):
                ask = ask_layout.lay_out()
                AskEvents(ask, loader, tabs, draw.prompt, line)
            actions = PictureActions(draw, loader, tabs, ask.pictures)
            actions.connect_gallery()
            with gr.Tab(text("library.tab"), id="library") as tab:
                layout = library_layout.lay_out()
                LibraryEvents(layout, tab, libraries, key, actions, archives=uploads)
            if can_switch:
                with gr.Tab(text("models.tab"), id="models"):
                    models_tab(page, loader, head)
            with gr.Tab(text("about.tab"), id="about", elem_id="about") as tab:
                about_tab(page, tab, loader, is_private=library is not None)
        opening = Opening(draw, ask, loader)
        opening.connect(page)
        header.connect(page, head, loader, draw, ask, opening)
        hints.connect(head.chip, draw, loader, estimates)
        card_events.connect(head.chip, draw, loader)
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
    library: Path | None = None,
) -> None:
    """Serves the page until it is interrupted; the model is loaded once the page is up.

    Pictures are kept in the folder `library`, or where this system keeps such things; on an address
    that others reach, every browser has a library of its own instead.

    Raises:
        ServerError: the port is taken.
        UsageError: a library is given, and others may reach the page.
    """
    is_private = host in LOOPBACK and not share
    if library and not is_private:
        raise UsageError(
            "--library is for a page that only this machine reaches.",
            "Leave it out: every visitor then has a library of their own.",
        )
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    load = pretrained(device=device, dtype=dtype, quantize=quantize)
    loader = ModelLoader(load, Loading(model_name))
    folder = library or platformdirs.user_data_path("janus") / "library"
    page = build(loader, library=folder if is_private else None, can_switch=is_private)
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
    """How the page looks and what it offers, for `Blocks.launch` or `gradio.mount_gradio_app`."""
    return {
        "theme": theme.make(),
        "css_paths": sorted((HERE / "style").glob("*.css")),
        # Not as `js`, which Gradio runs some time after the page can be used.
        "head": "".join(map(_script, [*map(_read, SCRIPTS), toasts.script()])),
        "i18n": translations(),
        "favicon_path": HERE / "icon.png",
        "pwa": True,
        "mcp_server": find_spec("mcp") is not None,
        "app_kwargs": {"middleware": [Middleware(page_language.PageLanguage)]},
    }


def _read(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def _script(code: str) -> str:
    return f"<script>{code}</script>"


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
        with contextlib.redirect_stdout(sys.stderr if share else io.StringIO()):
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
