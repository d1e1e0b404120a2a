"""Requests of the routes -> the engine -> how far they have come, without holding up anybody.

The engine runs in its own thread and pictures are decoded in others; here everything waits.
Whoever stops waiting, because the client has gone or the time is up, cancels the request.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import anyio
from fastapi import Request

from janus.engine.request import ImageRequest, TextRequest, Ticket
from janus.engine.worker import EngineWorker
from janus.pipeline import Janus
from janus.server.errors import ClientGone, DeadlineError
from janus.server.settings import ServerSettings
from janus.server.tracing import Times, traced

Result = TypeVar("Result")


class Service:
    """A model that serves many; `worker` is its engine's thread."""

    def __init__(self, janus: Janus, worker: EngineWorker, settings: ServerSettings) -> None:
        self.janus, self.worker, self.settings = janus, worker, settings
        self.num_in_flight = 0
        self._num_reading = 0
        self.on_end: Callable[[Times], None] = lambda times: None
        # One: decoding takes all cores already, and the engine's steps need theirs.
        self._painters = ThreadPoolExecutor(1, thread_name_prefix="janus-painter")
        self._readers = ThreadPoolExecutor(2, thread_name_prefix="janus-reader")

    async def follow(self, request: TextRequest | ImageRequest) -> AsyncGenerator[Ticket, None]:
        """The ticket each time it has come further, the last time when it is done.

        Raises `DeadlineError` when its time is up, and what the ticket failed with.
        """
        loop, progress = asyncio.get_running_loop(), asyncio.Event()
        ticket = self.worker.submit(request, lambda: loop.call_soon_threadsafe(progress.set))
        times = Times(time.monotonic())
        end = times.submitted + self.settings.max_seconds
        self.num_in_flight += 1
        try:
            done = False
            while not done:
                try:
                    await asyncio.wait_for(progress.wait(), end - time.monotonic())
                except TimeoutError:
                    raise DeadlineError(
                        f"The request took longer than {self.settings.max_seconds:g} seconds.",
                        "Ask for less at once.",
                    ) from None
                progress.clear()
                done = ticket.done
                times.see(ticket)
                if done:
                    times.ended = time.monotonic()
                yield ticket
        finally:
            self.num_in_flight -= 1
            self.worker.cancel(ticket)
            times.trace()
            self.on_end(times)
        if ticket.error:
            raise ticket.error

    async def paint(self, work: Callable[..., Result], *arguments: Any) -> Result:
        """Decodes pictures, beside the event loop."""
        with traced("paint"):
            return await asyncio.get_running_loop().run_in_executor(
                self._painters, work, *arguments
            )

    async def read(self, work: Callable[..., Result], *arguments: Any) -> Result:
        """Prepares prompts and what was sent with them, beside the event loop.

        Raises `BusyError` at once where they would not be taken afterwards.
        """
        self.worker.check_queue(1, num_before=self._num_reading)
        self._num_reading += 1
        try:
            with traced("read"):
                return await asyncio.get_running_loop().run_in_executor(
                    self._readers, work, *arguments
                )
        finally:
            self._num_reading -= 1

    async def drain(self) -> None:
        """Takes nothing new on, and waits for what runs, as long as it may."""
        self.worker.is_open = False
        end = time.monotonic() + self.settings.drain_seconds
        while self._is_busy() and time.monotonic() < end:
            await asyncio.sleep(0.05)

    def _is_busy(self) -> bool:
        load = self.worker.load()
        return bool(self.num_in_flight or load.running or load.waiting)

    def close(self) -> None:
        self.worker.stop()
        self._painters.shutdown(wait=False, cancel_futures=True)
        self._readers.shutdown(wait=False, cancel_futures=True)


async def while_connected(request: Request, work: Awaitable[Result]) -> Result:
    """The result of the work, which is cancelled when the client goes. Raises `ClientGone`."""
    results: list[Result] = []
    errors: list[BaseException] = []
    async with anyio.create_task_group() as group:

        async def watch() -> None:
            while (await request.receive())["type"] != "http.disconnect":
                pass
            group.cancel_scope.cancel()

        async def run() -> None:
            # Kept, since a task group would wrap it.
            try:
                results.append(await work)
            except Exception as error:
                errors.append(error)
            group.cancel_scope.cancel()

        group.start_soon(watch)
        group.start_soon(run)
    if errors:
        raise errors[0]
    if not results:
        raise ClientGone
    return results[0]


async def merged(
    streams: Sequence[AsyncGenerator[Any, None]],
) -> AsyncGenerator[tuple[int, Any], None]:
    """What all streams bring, each with the number of its stream, as it comes."""
    if len(streams) == 1:
        async with contextlib.aclosing(streams[0]) as only:
            async for item in only:
                yield 0, item
        return
    arrived: asyncio.Queue[tuple[int, Any, BaseException | None, bool]] = asyncio.Queue()

    async def pump(index: int) -> None:
        try:
            async with contextlib.aclosing(streams[index]) as stream:
                async for item in stream:
                    arrived.put_nowait((index, item, None, False))
        except Exception as error:
            arrived.put_nowait((index, None, error, True))
        else:
            arrived.put_nowait((index, None, None, True))

    tasks = [asyncio.create_task(pump(i)) for i in range(len(streams))]
    try:
        num_open = len(streams)
        while num_open:
            index, item, error, has_ended = await arrived.get()
            if error is not None:
                raise error
            if has_ended:
                num_open -= 1
            else:
                yield index, item
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
