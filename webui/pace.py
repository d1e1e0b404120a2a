"""How often to show something, so that neither the model nor the connection has to wait for it."""

import time

SHARE = 0.2  # of the time at most that showing may take


class Pace:
    """Says when the next update is due: after `seconds`, or later where updates take long."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._due = 0.0

    def is_due(self) -> bool:
        return time.monotonic() >= self._due

    def shown(self, since: float) -> None:
        """An update that began at `since` (`time.monotonic`) has reached its viewer."""
        now = time.monotonic()
        self._due = now + max(self._seconds, (now - since) / SHARE - (now - since))
