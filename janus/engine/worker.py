"""The engine in a thread of its own, for as many as like to wait.

Requests come from any thread. After each step everyone concerned is told, by a function that is
called in the engine's thread and must not take long. Nothing else touches the engine.
"""

import contextlib
import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from collections.abc import Sequence as Many
from dataclasses import dataclass

from janus.engine.engine import Engine
from janus.engine.request import (
    ImageRequest,
    Sequence,
    TextRequest,
    Ticket,
    all_done,
    raise_errors,
)
from janus.engine.scheduler import slots_of
from janus.errors import BusyError, StoppedError, UsageError

Listener = Callable[[], object]

SECONDS_BETWEEN_LOOKS = 0.25  # of those who wait for a slot, and may give up
SMOOTHING = 0.1  # weight of the newest step in the mean


@dataclass(frozen=True, slots=True)
class Load:
    """How much there is to do."""

    waiting: int  # rows that are queued
    running: int  # pictures and answers
    free_slots: int
    seconds_to_room: float  # until the next slot is free, where none is


class EngineWorker:
    """Serves until it is stopped; `max_waiting` rows may queue for a slot."""

    def __init__(self, engine: Engine, *, max_waiting: int) -> None:
        self.engine, self.max_waiting = engine, max_waiting
        self.step_seconds = 0.0  # on average, of late
        self.on_step: Callable[[float, int], None] | None = None  # seconds and new ids
        self._inbox: deque[Callable[[], None]] = deque()
        self._num_coming = 0  # rows of the inbox
        self._changed = threading.Condition()
        self._listeners: dict[Ticket, Listener] = {}
        self.is_open = True  # for new requests
        self._stopped = False
        self._thread = threading.Thread(target=self._serve, name="janus-engine", daemon=True)
        self._thread.start()

    def submit(self, request: TextRequest | ImageRequest, listener: Listener) -> Ticket:
        """Queues a request. The listener is called after each step that brought it on, or ended it.

        Raises:
            BusyError: too many are waiting; it says when to come again.
            StoppedError: the worker has stopped.
            JanusError: as `Engine.check`.
        """
        ticket = self.engine.check(request)
        with self._changed:
            if self._stopped or not self.is_open:
                raise StoppedError("The server is going down.", "Try again when it is back.")
            self.check_queue(request.num_rows)
            self._num_coming += request.num_rows
            self._inbox.append(lambda: self._add(ticket, listener))
            self._changed.notify()
        return ticket

    def cancel(self, ticket: Ticket) -> None:
        """Ends what is unfinished, before the next step; its listener is not called any more."""
        with self._changed:
            self._inbox.append(lambda: self._cancel(ticket))
            self._changed.notify()

    def run(self, request: TextRequest | ImageRequest) -> Iterator[Ticket]:
        """The ticket after each step that brought the request on, the last time when it is done.

        Closing the iterator cancels it. Raises what the ticket failed with, and as `submit`.
        """
        with contextlib.closing(self.run_all([request])) as steps:
            for (reached,) in steps:
                yield reached

    def run_all(
        self, requests: Many[TextRequest | ImageRequest]
    ) -> Generator[Many[Ticket], None, None]:
        """The tickets after each step that brought one of them on, the last time when all are done.

        While none of them has a slot, now and then without one.
        Where one fails, all end; otherwise as `run`.
        """
        self.check_room(*requests)
        steps: queue.SimpleQueue[None] = queue.SimpleQueue()
        tickets: list[Ticket] = []
        try:
            for request in requests:
                tickets.append(self.submit(request, lambda: steps.put(None)))
            done = False
            while not done:
                with contextlib.suppress(queue.Empty):
                    steps.get(timeout=SECONDS_BETWEEN_LOOKS)
                done = all_done(tickets)
                yield tickets
        finally:
            for ticket in tickets:
                self.cancel(ticket)
        raise_errors(tickets)

    @property
    def is_alive(self) -> bool:
        """Whether requests are worked on."""
        return not self._stopped

    def must_wait(self, num_rows: int) -> bool:
        """Whether a request cannot begin before others end, however many rows it has."""
        return self.engine.is_full

    def check_room(self, *requests: TextRequest | ImageRequest) -> None:
        """Raises `UsageError` for requests that could not even wait together."""
        most = self.engine.num_slots + self.max_waiting
        needed = sum(request.num_rows for request in requests)
        if len(requests) > 1 and needed > most:
            raise UsageError(
                f"The request takes {needed} rows, but this server has room for {most}.",
                "Ask for less at once.",
            )

    def check_queue(self, num_rows: int, *, num_before: int = 0) -> None:
        """Raises `BusyError` where so many rows more do not fit behind those that wait.

        `num_before` rows will be submitted before them.
        """
        load = self.load()
        waiting = load.waiting + num_before
        if waiting and waiting + num_rows > load.free_slots + self.max_waiting:
            raise BusyError(
                "Too many requests are waiting already.",
                "Try again a little later.",
                retry_after=load.seconds_to_room,
            )

    def load(self) -> Load:
        """At this moment; from any thread, so that it may be a step old."""
        scheduler = self.engine.scheduler
        running = list(scheduler.running)
        return Load(
            waiting=sum(map(slots_of, list(scheduler.waiting))) + self._num_coming,
            running=len(running),
            free_slots=scheduler.num_free,
            seconds_to_room=self._seconds_to_room(running),
        )

    def running_rows(self, *, draws: bool) -> int:
        """Of pictures, or of answers."""
        running = list(self.engine.scheduler.running)
        return sum(s.num_slots for s in running if s.draws is draws)

    def stop(self) -> None:
        """Ends everything, with `StoppedError` for whoever still waits."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
        self._thread.join()

    def _serve(self) -> None:
        try:
            while not self._stopped:
                self._obey(wait=True)
                self._step()
        finally:  # whatever ended it, nobody is to wait for ever
            with self._changed:
                self._stopped = True
            self._obey(wait=False)
            for ticket in list(self._listeners):
                ticket.error = StoppedError("The server was stopped.", "Try again when it is back.")
                self.engine.cancel(ticket, "failed")
                self._tell(ticket)

    def _obey(self, *, wait: bool) -> None:
        """Does what others have ordered; `wait` until there is something to do."""
        with self._changed:
            while wait and not (self._inbox or self.engine.has_work or self._stopped):
                self._changed.wait()
            orders, self._inbox = self._inbox, deque()
        for order in orders:
            order()

    def _step(self) -> None:
        if self._stopped or not self.engine.has_work:
            return
        begun = time.perf_counter()
        events = self.engine.step()
        seconds = time.perf_counter() - begun
        self.step_seconds += (seconds - self.step_seconds) * (SMOOTHING if self.step_seconds else 1)
        for event in events:
            self._tell(event.ticket)
        if self.on_step is not None:
            self.on_step(seconds, sum(len(ids) for e in events for ids in e.new_ids.values()))

    def _add(self, ticket: Ticket, listener: Listener) -> None:
        with self._changed:
            self._num_coming -= ticket.request.num_rows
        self._listeners[ticket] = listener
        self.engine.scheduler.add(ticket)

    def _cancel(self, ticket: Ticket) -> None:
        self._listeners.pop(ticket, None)
        self.engine.cancel(ticket)

    def _tell(self, ticket: Ticket) -> None:
        listener = self._listeners.get(ticket)
        if ticket.done:
            self._listeners.pop(ticket, None)
        try:
            if listener is not None:
                listener()
        except Exception:
            logging.getLogger(__name__).exception("a listener failed")

    def _seconds_to_room(self, running: list[Sequence]) -> float:
        """Pictures take as many passes as their ids need; answers may end sooner."""
        passes = [(s.limit - len(s.ids)) / (s.pace if s.draws else 1) for s in running]
        return min(passes, default=0.0) * self.step_seconds
