"""Runs the service until it is told to stop, and then lets running requests finish."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI

from janus.server.service import Service

ARRIVAL_SECONDS = 0.1  # for requests that are on their way
FLUSH_SECONDS = 1.0  # for the last replies to leave
# After which the engine's thread lets the event loop have the interpreter. With Python's own 5 ms
# every reply waits so long several times over, once hundreds of clients are there.
SWITCH_SECONDS = 0.0005


class DrainingServer(uvicorn.Server):
    """At the first signal it takes nothing new on; after the drain time, whoever still waits is
    told so. Its door stays open until then, so that whoever comes is told to come again, instead
    of finding the connection broken. The second signal ends it at once."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self.service = service
        self._draining: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._was_asked = False

    async def startup(self, sockets: Any = None) -> None:
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._was_asked or self._loop is None:
            self.force_exit = True
            super().handle_exit(sig, frame)
        else:
            self._was_asked = True
            self._loop.call_soon_threadsafe(self._begin_to_drain)

    def _begin_to_drain(self) -> None:
        self._draining = asyncio.get_running_loop().create_task(self._drain())

    async def _drain(self) -> None:
        await self.service.drain()
        await asyncio.to_thread(self.service.worker.stop)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FLUSH_SECONDS):
                await asyncio.sleep(ARRIVAL_SECONDS)
                while self.server_state.tasks:
                    await asyncio.sleep(0.01)
        self.should_exit = True
        # Browsers keep connections open for what may come.
        for task in list(self.server_state.tasks):
            task.cancel()
        for connection in list(self.server_state.connections):
            connection.transport.close()  # pyright: ignore


def serve(app: FastAPI, *, host: str, port: int) -> None:
    """Serves until SIGINT or SIGTERM."""
    service: Service = app.state.service
    seconds = service.settings.drain_seconds
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=int(seconds + 2 * FLUSH_SECONDS) + 1,
    )
    sys.setswitchinterval(SWITCH_SECONDS)
    with _quiet_interrupts():
        DrainingServer(config, service).run()


@contextlib.contextmanager
def _quiet_interrupts() -> Iterator[None]:
    """uvicorn raises the signal anew once it has stopped; that is no error."""
    handlers = {sig: signal.getsignal(sig) for sig in (signal.SIGINT, signal.SIGTERM)}
    for sig in handlers:
        signal.signal(sig, lambda *_: None)
    try:
        yield
    finally:
        for sig, handler in handlers.items():
            signal.signal(sig, handler)
