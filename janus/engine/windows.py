"""How many ids of a picture one pass checks: running sequences in, the window of each out.

A pass over a window of w ids predicts what follows each of them. As far as the guesses among them
were right, that many ids are gained at once; which ids come out does not depend on the window.
"""

from collections.abc import Sequence as Many
from dataclasses import dataclass

from janus.engine.request import Sequence
from janus.model.model import JanusModel
from janus.model.packed import PackedLinear

# janus-emoji on two cores draws one picture 2.1 times as fast, four at once 1.6 times, sixteen 1.2
# times; twice as many tokens gain nothing.
SMALL_MODEL_TOKENS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """The more tokens are in the pass, the smaller the windows: one id each when it is full.

    It is full sooner while answers are written.
    """

    largest: int = 8
    num_tokens: int = SMALL_MODEL_TOKENS  # of a pass that costs little more than a single token's
    reach: float = 4.0  # times the ids that recent passes gained: guesses far beyond are idle

    @classmethod
    def for_model(cls, model: JanusModel) -> "Windows":
        """As large as its weights make worth while."""
        packed = (m.num_cheap_rows for m in model.modules() if isinstance(m, PackedLinear))
        return cls(num_tokens=min(packed, default=SMALL_MODEL_TOKENS))

    def choose(self, running: Many[Sequence]) -> dict[Sequence, int]:
        """One window for all that can guess, since equally long rows attend at once."""
        guessing = {s for s in running if s.draws and s.ids and not s.is_reference}
        window = 1
        if guessing:
            num_rows = sum(s.num_slots for s in guessing)
            num_others = sum(s.num_slots for s in running) - num_rows
            pace = sum(s.pace for s in guessing) / len(guessing)
            # The next word of an answer waits for the whole pass: eight pictures of janus-emoji
            # keep it 2.6 to 3.1 times as long as nobody, with all tokens 3.5 to 4.2 times.
            is_shared = any(not s.draws for s in running)
            num_tokens = self.num_tokens // 2 if is_shared else self.num_tokens
            room = (num_tokens - num_others) // num_rows
            window = max(1, min(self.largest, room, round(self.reach * pace)))
        return {s: window if s in guessing else 1 for s in running}
