"""`janus web`: starts the studio in the browser."""

import os
from pathlib import Path
from typing import Annotated

import typer

from janus.cli.common import command
from janus.cli.options import Messages, ModelOptions
from janus.cli.ports import Host, free_port, port_option
from janus.errors import MissingExtraError

FIRST_PORT = 7860


@command
def web(
    host: Host = "127.0.0.1",
    port: Annotated[int | None, port_option(FIRST_PORT)] = None,
    share: Annotated[bool, typer.Option("--share", help="Give it a public address.")] = False,
    open_browser: Annotated[
        bool, typer.Option("--open/--no-open", help="Open it in the browser.")
    ] = True,
    library: Annotated[
        Path | None,
        typer.Option(
            "--library",
            help="Keep the pictures in this folder, and show those in it.",
            file_okay=False,
        ),
    ] = None,
    *,
    model: ModelOptions,
    messages: Messages,
) -> None:
    """Open the studio: draw, ask and look back in your browser.

    \b
    janus web
    janus web --model janus-pro-7b --port 8000
    """
    free = free_port(host, port, first=FIRST_PORT)
    if model.offline:
        os.environ["HF_HUB_OFFLINE"] = "1"
    try:
        from webui.app import launch
    except ImportError as error:
        raise MissingExtraError(
            f"The studio cannot start: {error}.", "Install it with: pip install gradio"
        ) from error
    launch(
        model.name,
        device=model.device,
        dtype=model.dtype or "auto",
        quantize=model.quantize,
        host=host,
        port=free,
        share=share,
        open_browser=open_browser,
        library=library,
    )
