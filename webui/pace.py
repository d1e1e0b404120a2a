"""How often to show something, so that neither the model nor the connection waits for it long."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

SHARE = 0.3  # of the time, at most, that showing may take


class Pace:
    """Updates are due every `seconds`, or more rarely where they take long."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._due = 0.0

    def is_due(self) -> bool:
        return time.monotonic() >= self._due

    @contextmanager
    def update(self) -> Iterator[None]:
        """Around an update, until its viewer asks for the next one."""
        began = time.monotonic()
        yield
        now = time.monotonic()
        self._due = now + max(self._seconds, (now - began) * (1 - SHARE) / SHARE)
