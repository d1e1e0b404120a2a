"""Ends an answer at a stop text, even where the text arrives in pieces."""


class StopTexts:
    """Lets text through as soon as it cannot be the beginning of a stop text."""

    def __init__(self, stops: tuple[str, ...]) -> None:
        self.stops = stops
        self.held = ""
        self.found = False

    def add(self, piece: str) -> str:
        """The text that is safe to show now; `found` once a stop text has appeared."""
        self.held += piece
        places = [place for stop in self.stops if (place := self.held.find(stop)) >= 0]
        if places:
            self.found = True
            return self._release(min(places))
        return self._release(len(self.held) - self._suspicious())

    def rest(self) -> str:
        """What is still held back when the answer has ended without a stop text."""
        return "" if self.found else self._release(len(self.held))

    def _release(self, length: int) -> str:
        shown, self.held = self.held[:length], self.held[length:]
        return shown

    def _suspicious(self) -> int:
        """Length of the longest ending that a stop text begins with."""
        longest = max(map(len, self.stops), default=1) - 1
        for length in range(min(longest, len(self.held)), 0, -1):
            if any(stop.startswith(self.held[-length:]) for stop in self.stops):
                return length
        return 0
