"""The line of those who want the model: so many are served at a time, in the order they came.

Gradio has a queue of its own, but whoever stands in it sees nothing of it, and cannot leave it.
Knows neither the model nor Gradio.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

SECONDS_BETWEEN_LOOKS = 0.25


class Line:
    """`at_once` are served together."""

    def __init__(self, at_once: int) -> None:
        self.at_once = at_once
        self._places: list[Place] = []  # those who are served, and behind them those who wait
        self._moved = threading.Condition()

    @contextmanager
    def place(self) -> Iterator["Place"]:
        """The last place, for as long as one waits for the model or works with it."""
        place = Place(self)
        with self._moved:
            self._places.append(place)
        try:
            yield place
        finally:
            with self._moved:
                self._places.remove(place)
                self._moved.notify_all()

    def before(self, place: "Place") -> int:
        """How many have to leave before this place is served."""
        with self._moved:
            return max(0, self._places.index(place) + 1 - self.at_once)

    def wait(self, seconds: float) -> None:
        """Until somebody leaves, or for so long."""
        with self._moved:
            self._moved.wait(seconds)


class Place:
    """Somebody's place in a line."""

    def __init__(self, line: Line) -> None:
        self._line = line

    def waiting(self) -> Iterator[int]:
        """One's number among those who wait, again and again, until one is served."""
        while number := self._line.before(self):
            yield number
            self._line.wait(SECONDS_BETWEEN_LOOKS)
