"""One engine that several threads use: whoever waits for a step makes it, for everybody.

Requests in, their tickets out, step by step. The engine is made when the first request comes, and
made larger when one comes that does not fit.
"""

import threading
import time
from collections.abc import Iterator

from janus.engine.engine import Engine
from janus.engine.request import ImageRequest, TextRequest, Ticket
from janus.model.model import JanusModel

MAX_SLOTS = 32
FEWEST_SLOTS = 4
LENGTH_UNIT = 256  # positions; the length of a slot is a multiple


class SharedEngine:
    """Give `run` a request and take tickets until it is answered; closing the iterator cancels."""

    def __init__(self, model: JanusModel, *, context: int, placeholder_id: int) -> None:
        self.model, self.context, self.placeholder_id = model, context, placeholder_id
        self.engine: Engine | None = None
        self._lock = threading.RLock()

    def run(self, request: TextRequest | ImageRequest) -> Iterator[Ticket]:
        """The ticket after each step that brought the request on, the last time when it is done."""
        with self._lock:
            engine = self._engine_for(request)
            steps = engine.run(engine.submit(request))
        seen = 0
        try:
            while True:
                with self._lock:  # for one step at most: others may be waiting to look or to stop
                    reached = next(steps, None)
                if reached is None:
                    return
                if reached.num_steps > seen or reached.done:
                    seen = reached.num_steps
                    yield reached
                else:
                    time.sleep(0)  # waits for a slot: lets those who have one go first
        finally:
            with self._lock:
                steps.close()

    def _engine_for(self, request: TextRequest | ImageRequest) -> Engine:
        slots, length = self._needs(request)
        old = self.engine
        if old is not None:
            if old.num_slots >= slots and old.length >= length:
                return old
            while old.has_work:  # others finish first
                old.step()
            slots, length = max(slots, old.num_slots), max(length, old.length)
        self.engine = Engine(
            self.model, num_slots=slots, length=length, placeholder_id=self.placeholder_id
        )
        return self.engine

    def _needs(self, request: TextRequest | ImageRequest) -> tuple[int, int]:
        """Slots and positions of a slot. The pictures of a reference drawing need all at once."""
        if isinstance(request, TextRequest):
            slots, output = 1, request.params.max_tokens
        else:
            is_whole = request.params.reference
            slots = request.num_rows if is_whole else min(request.num_rows, MAX_SLOTS)
            output = self.model.config.num_image_tokens
        units = -(-(len(request.prompt) + output) // LENGTH_UNIT)
        return max(slots, FEWEST_SLOTS), min(units * LENGTH_UNIT, self.context)
