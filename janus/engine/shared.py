"""One engine that several threads use: whoever waits for a step makes it, for everybody.

Requests in, their tickets out, step by step. The engine is made when the first request comes, and
made larger when one comes that does not fit, as far as there is memory.
"""

import threading
import time
from collections.abc import Generator, Iterator
from collections.abc import Sequence as Many
from contextlib import closing

from janus.engine.engine import Engine
from janus.engine.request import ImageRequest, TextRequest, Ticket, all_done, num_steps
from janus.errors import is_out_of_memory
from janus.model.model import JanusModel

MAX_SLOTS = 32
FEWEST_SLOTS = 4
SLOTS_OF_A_PICTURE = 2
LENGTH_UNIT = 256  # positions; the length of a slot is a multiple


class SharedEngine:
    """Give `run` a request and take tickets until it is answered; closing the iterator cancels."""

    def __init__(self, model: JanusModel, *, context: int, placeholder_id: int) -> None:
        self.model, self.context, self.placeholder_id = model, context, placeholder_id
        self.engine: Engine | None = None
        self._lock = threading.RLock()

    def run(self, request: TextRequest | ImageRequest) -> Iterator[Ticket]:
        """The ticket after each step, further or not, the last time when it is done."""
        with closing(self.run_all([request])) as steps:
            for (reached,) in steps:
                yield reached

    def run_all(
        self, requests: Many[TextRequest | ImageRequest]
    ) -> Generator[Many[Ticket], None, None]:
        """The tickets after each step, further or not, the last time when all are done.

        They advance in the same steps. Where one fails, all end; closing the iterator cancels.
        """
        with self._lock:
            engine = self._engine_for(requests)
            tickets = engine.submit_all(requests)
            for ticket in tickets:
                ticket.held_back = engine.num_slots < min(ticket.request.num_rows, MAX_SLOTS)
            steps = engine.run_all(tickets)
        seen = 0
        try:
            while True:
                with self._lock:  # for one step at most: others may be waiting to look or to stop
                    reached = next(steps, None)
                if reached is None:
                    return
                if num_steps(reached) == seen and not all_done(reached):
                    time.sleep(0)  # waits for a slot: lets those who have one go first
                seen = num_steps(reached)
                yield reached
        finally:
            with self._lock:
                steps.close()

    def must_wait(self, num_rows: int) -> bool:
        """Whether a request of so many rows cannot begin before others end. Does not lock."""
        engine = self.engine
        if engine is None or not engine.has_work:
            return False
        return engine.is_full or engine.num_slots < min(num_rows, MAX_SLOTS)

    def _engine_for(self, requests: Many[TextRequest | ImageRequest]) -> Engine:
        slots, length = self._needs(requests)
        old = self.engine
        if old is not None:
            if old.num_slots >= slots and old.length >= length:
                return old
            while old.has_work:  # others finish first
                old.step()
            slots, length = max(slots, old.num_slots), max(length, old.length)
        self.engine = old = None  # its memory may be needed
        self.engine = self._largest(slots, length, fewest=self._fewest(requests))
        return self.engine

    def _largest(self, slots: int, length: int, *, fewest: int) -> Engine:
        """With as many of the slots as there is memory for; what has none then waits for one."""
        while True:
            try:
                return Engine(
                    self.model, num_slots=slots, length=length, placeholder_id=self.placeholder_id
                )
            except Exception as error:
                if slots <= fewest or not is_out_of_memory(error):
                    raise
            slots = max(slots // 2, fewest)

    def _fewest(self, requests: Many[TextRequest | ImageRequest]) -> int:
        """Slots without which nothing of them can run."""
        whole = [request.num_rows for request in requests if request.is_whole]
        return max([SLOTS_OF_A_PICTURE, *whole])

    def _needs(self, requests: Many[TextRequest | ImageRequest]) -> tuple[int, int]:
        """Slots and positions of a slot. The pictures of a reference drawing need all at once."""
        together = min(sum(request.num_rows for request in requests), MAX_SLOTS)
        whole = max((request.num_rows for request in requests if request.is_whole), default=0)
        longest = max(len(request.prompt) + self._output(request) for request in requests)
        units = -(-longest // LENGTH_UNIT)
        return max(together, whole, FEWEST_SLOTS), min(units * LENGTH_UNIT, self.context)

    def _output(self, request: TextRequest | ImageRequest) -> int:
        is_answer = isinstance(request, TextRequest)
        return request.params.max_tokens if is_answer else self.model.config.num_image_tokens
