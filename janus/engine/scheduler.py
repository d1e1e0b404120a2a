"""Who runs next: waiting sequences in, running sequences with cache slots out.

First come, first served, and nobody overtakes: a sequence that needs two slots is not starved by
later ones that need one. Slots are given at admission and taken back at the end; where memory did
not suffice for all of them, fewer are given until everything is done. Prompts are read in pieces,
so that nobody who is beyond his waits long for a step. Runs nothing.
"""

import time
from collections import deque
from collections.abc import Sequence as Many
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
        self._most = num_slots  # that are given out, while memory is short

    @property
    def num_free(self) -> int:
        return len(self._free)

    def add(self, ticket: Ticket) -> None:
        self.waiting.extend(units(ticket))

    def admit(self) -> None:
        """Gives slots to waiting units, in order, until one does not fit.

        The lowest ones that are free, in ascending order: rows that begin together lie together.
        """
        while self.waiting and self._fits(slots_of(self.waiting[0])):
            unit = self.waiting.popleft()
            for sequence in unit:
                sequence.slots = tuple(heappop(self._free) for _ in range(sequence.num_slots))
                # Where a prompt is cut depends on nobody else, and so do the last bits of results.
                sequence.piece = max(1, self.prompt_tokens // slots_of(unit))
                self.running.append(sequence)
                sequence.ticket.admitted_at = sequence.ticket.admitted_at or time.monotonic()

    def hold_back(self, newcomers: Many[Sequence]) -> bool:
        """For lack of memory, lets sequences without ids wait again, in front of all others.

        From then on fewer run at once. False where one unit ran alone, which no waiting helps.
        """
        others = [s for s in self.running if s not in newcomers]
        again = list(dict.fromkeys(_unit_of(sequence) for sequence in newcomers))
        if not others and len(again) < 2:
            return False
        self._most = max(slots_of(others), slots_of(self.running) // 2)
        self._take_back(newcomers)
        self.running = others
        self.waiting.extendleft(reversed(again))
        for sequence in newcomers:
            sequence.ticket.held_back, sequence.num_read = True, 0
        return True

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
        self._take_back([s for s in self.running if s.finish_reason])
        self.running = [s for s in self.running if not s.finish_reason]
        self.waiting = deque(unit for unit in self.waiting if not unit[0].finish_reason)
        if not self.running and not self.waiting:
            self._most = self.num_slots

    def _fits(self, num_slots: int) -> bool:
        given = slots_of(self.running)
        return num_slots <= self.num_free and (not given or given + num_slots <= self._most)

    def _take_back(self, sequences: Many[Sequence]) -> None:
        for sequence in sequences:
            for slot in sequence.slots:
                heappush(self._free, slot)
            sequence.slots = ()


def units(ticket: Ticket) -> list[Unit]:
    """One a sequence; the pictures of a reference drawing share a generator and stay together."""
    return list(dict.fromkeys(map(_unit_of, ticket.sequences)))


def slots_of(sequences: Many[Sequence]) -> int:
    return sum(sequence.num_slots for sequence in sequences)


def _unit_of(sequence: Sequence) -> Unit:
    return sequence.ticket.sequences if sequence.is_reference else (sequence,)
