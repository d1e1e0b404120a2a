"""`janus web`: starts the studio in the browser."""

import errno
import os
import socket
from typing import Annotated

import typer

from janus.cli.common import command
from janus.cli.options import Messages, ModelOptions
from janus.errors import MissingExtraError, ServerError

FIRST_PORT = 7860
NUM_PORTS = 100


@command
def web(
    host: Annotated[str, typer.Option(help="0.0.0.0 lets other machines in.")] = "127.0.0.1",
    port: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=65535,
            help=f"[default: {FIRST_PORT}, or the next that is free]",
            show_default=False,
        ),
    ] = None,
    share: Annotated[bool, typer.Option("--share", help="Give it a public address.")] = False,
    open_browser: Annotated[
        bool, typer.Option("--open/--no-open", help="Open it in the browser.")
    ] = True,
    *,
    model: ModelOptions,
    messages: Messages,
) -> None:
    """Open the studio: draw, ask and look back in your browser.

    \b
    janus web
    janus web --model janus-pro-7b --port 8000
    """
    free = _free_port(host, port)
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
    )


def _free_port(host: str, wanted: int | None) -> int:
    """The port asked for, or the first free one where none was. Raises `ServerError`."""
    ports = range(FIRST_PORT, FIRST_PORT + NUM_PORTS) if wanted is None else [wanted]
    for port in ports:
        try:
            _listen_for_a_moment(host, port)
            return port
        except OSError as error:
            if error.errno == errno.EADDRINUSE and port != ports[-1]:
                continue
            raise ServerError(
                f"Cannot listen on {host}, port {port}: {error.strerror}.",
                "Choose another --port, or leave it out; --host is an address of this machine.",
            ) from error
    raise AssertionError("there is a last port")


def _listen_for_a_moment(host: str, port: int) -> None:
    family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind) as probe:
        if os.name != "nt":  # where it means something else
            # As servers do it: a port whose last connection has just ended is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)
        probe.listen()
