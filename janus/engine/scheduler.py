"""Who runs next: waiting sequences in, running sequences with cache slots out.

First come, first served, and nobody overtakes: a sequence that needs two slots is not starved by
later ones that need one. Slots are given at admission and taken back at the end. Prompts are read
in pieces, so that nobody who is beyond his waits long for a step. Runs nothing.
"""

import time
from collections import deque
from heapq import heappop, heappush
from itertools import groupby

from janus.engine.request import Sequence, Ticket

# Sequences that are admitted together.
Unit = tuple[Sequence, ...]


class Scheduler:
    def __init__(self, num_slots: int, prompt_tokens: int) -> None:
        """`prompt_tokens` may be read in one step, or one of each row where that is more."""
        self.num_slots, self.prompt_tokens = num_slots, prompt_tokens
        self.waiting: deque[Unit] = deque()
        self.running: list[Sequence] = []
        self._free = list(range(num_slots))  # a heap

    @property
    def num_free(self) -> int:
        return len(self._free)

    def add(self, ticket: Ticket) -> None:
        self.waiting.extend(units(ticket))

    def admit(self) -> None:
        """Gives slots to waiting units, in order, until one does not fit.

        The lowest ones that are free, in ascending order: rows that begin together lie together.
        """
        while self.waiting and slots_of(self.waiting[0]) <= self.num_free:
            unit = self.waiting.popleft()
            for sequence in unit:
                sequence.slots = tuple(heappop(self._free) for _ in range(sequence.num_slots))
                # Where a prompt is cut depends on nobody else, and so do the last bits of results.
                sequence.piece = max(1, self.prompt_tokens // slots_of(unit))
                self.running.append(sequence)
                sequence.ticket.admitted_at = sequence.ticket.admitted_at or time.monotonic()

    def due(self) -> list[Sequence]:
        """Whom the next step serves: all but prompts for which there is no room in it.

        The first to come is always served, and the pictures of a reference drawing go together.
        """
        taken, put_off = 0, set()
        reading = (sequence for sequence in self.running if not sequence.ids)
        for _, together in groupby(reading, key=_unit_of):
            unit = tuple(together)
            before, taken = taken, taken + sum(s.num_slots * len(s.next_piece) for s in unit)
            if before and taken > self.prompt_tokens:
                put_off.update(unit)
        return [sequence for sequence in self.running if sequence not in put_off]

    def release_finished(self) -> None:
        """Takes back the slots of running sequences that ended, and forgets waiting ones."""
        for sequence in self.running:
            if sequence.finish_reason:
                for slot in sequence.slots:
                    heappush(self._free, slot)
                sequence.slots = ()
        self.running = [s for s in self.running if not s.finish_reason]
        self.waiting = deque(unit for unit in self.waiting if not unit[0].finish_reason)


def units(ticket: Ticket) -> list[Unit]:
    """One a sequence; the pictures of a reference drawing share a generator and stay together."""
    if ticket.sequences[0].is_reference:
        return [ticket.sequences]
    return [(sequence,) for sequence in ticket.sequences]


def _unit_of(sequence: Sequence) -> Sequence | Ticket:
    return sequence.ticket if sequence.is_reference else sequence


def slots_of(unit: Unit) -> int:
    return sum(sequence.num_slots for sequence in unit)
