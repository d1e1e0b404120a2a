"""How many ids of a picture one pass checks: running sequences in, the window of each out.

A pass over a window of w ids predicts what follows each of them. As far as the guesses among them
were right, that many ids are gained at once; which ids come out does not depend on the window.
"""

from collections.abc import Sequence as Many
from dataclasses import dataclass

from janus.engine.request import Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """The more tokens are in the pass, the smaller the windows: one id each when it is full."""

    largest: int = 16
    num_tokens: int = 32  # of a pass that costs little more than one of a single token
    reach: float = 3.0  # times the ids that recent passes gained: guesses far beyond are idle

    def choose(self, running: Many[Sequence]) -> dict[Sequence, int]:
        """One window for all that can guess, since equally long rows attend at once."""
        guessing = {s for s in running if s.draws and s.ids and not s.is_reference}
        window = 1
        if guessing:
            num_rows = sum(s.num_slots for s in guessing)
            num_others = sum(s.num_slots for s in running) - num_rows
            pace = sum(s.pace for s in guessing) / len(guessing)
            room = (self.num_tokens - num_others) // num_rows
            window = max(1, min(self.largest, room, round(self.reach * pace)))
        return {s: window if s in guessing else 1 for s in running}
