"""The address to listen on: its options, and a free port, before anything slow has begun."""

import errno
import os
import socket
from typing import Annotated, Any

import typer

from janus.errors import ServerError

NUM_PORTS = 100

Host = Annotated[str, typer.Option(help="0.0.0.0 lets other machines in.")]


def port_option(first: int) -> Any:
    return typer.Option(
        min=1,
        max=65535,
        help=f"[default: {first}, or the next that is free]",
        show_default=False,
    )


def free_port(host: str, wanted: int | None, *, first: int) -> int:
    """The port asked for, or the first free one where none was. Raises `ServerError`."""
    ports = range(first, first + NUM_PORTS) if wanted is None else [wanted]
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
