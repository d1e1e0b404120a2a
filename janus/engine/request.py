"""What is asked of the engine, and how far it has come.

A request becomes a `Ticket` with one `Sequence` for its answer, or one for each of its pictures.
Sequences know their prompts, their ids so far and the rows that they bring to the next forward
pass; they hold no tensors but the pixels of the prompt.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import torch

from janus.generation.params import LARGEST_SEED, DrawParams, TextParams
from janus.generation.results import FinishReason
from janus.prompts.batch import Prompt


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TextRequest:
    """One answer. The seed here counts, not that of the params; stop texts are the caller's."""

    prompt: Prompt
    params: TextParams
    seed: int
    eos_ids: frozenset[int]

    @property
    def num_rows(self) -> int:
        return 1

    @property
    def is_whole(self) -> bool:
        return False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ImageRequest:
    """`params.count` pictures of one prompt; picture i uses seed + i."""

    prompt: Prompt
    params: DrawParams
    seed: int
    pad_id: int

    @property
    def is_guided(self) -> bool:
        return self.params.guidance != 1

    @property
    def num_rows(self) -> int:
        """Two a guided picture."""
        return self.params.count * (2 if self.is_guided else 1)

    @property
    def is_whole(self) -> bool:
        """Whether all rows have to run at once."""
        return self.params.reference


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """The new tokens of one row: of its prompt, or the id chosen last and guesses of the next."""

    sequence: "Sequence"
    slot: int
    position: int
    ids: tuple[int, ...]
    num_outputs: int  # of its last tokens, each of which predicts an id
    drawn: bool  # the ids are image codes, not words
    prompt: Prompt | None = None  # that the ids are a piece of

    @property
    def count(self) -> int:
        return len(self.ids)


@dataclass(slots=True, kw_only=True, eq=False)
class Sequence:
    """One answer or one picture in the making."""

    ticket: "Ticket" = field(repr=False)
    index: int
    seed: int
    params: DrawParams | TextParams
    prompts: tuple[Prompt, ...]  # a guided picture has two: conditional and unconditional
    draws: bool
    limit: int
    stop_ids: frozenset[int] = frozenset()
    ids: list[int] = field(default_factory=list)
    guesses: list[int] = field(default_factory=list)  # of the ids that follow
    pace: float = 2.0  # ids that a pass gains, of late
    num_passes: int = 0
    num_new: int = 0  # ids that the last pass gained
    slots: tuple[int, ...] = ()  # ascending
    piece: int = 0  # tokens of each prompt that a pass reads at most; given with the slots
    num_read: int = 0  # tokens of each prompt
    finish_reason: FinishReason | None = None

    @property
    def num_slots(self) -> int:
        return len(self.prompts)

    @property
    def is_reference(self) -> bool:
        return isinstance(self.params, DrawParams) and self.params.reference

    def rows(self, window: int = 1) -> list[Row]:
        """What it brings to the next forward pass; until the first id is chosen, of its prompts.

        Then the last id and as many guesses as make up the window: one pass predicts what follows
        each of them.
        """
        if not self.ids:
            return self._rows_of_prompts()
        window = min(window, self.limit - len(self.ids))
        ids = self.next_tokens(window)
        return [
            Row(self, slot, self.position, ids, num_outputs=window, drawn=self.draws)
            for slot in self.slots
        ]

    @property
    def next_piece(self) -> range:
        """The positions of its prompts that the next pass reads, while there are any."""
        return range(self.num_read, min(self.num_read + self.piece, len(self.prompts[0])))

    @property
    def position(self) -> int:
        """Of the last id."""
        return len(self.prompts[0]) + len(self.ids) - 1

    def next_tokens(self, window: int) -> tuple[int, ...]:
        """The last id and guesses of those that follow."""
        return (self.ids[-1], *self._guess(window - 1))

    def record(self, chosen: list[int]) -> tuple[int, ...]:
        """Takes what a pass chose after the last id and after each guess; the ids that are new.

        A pass that did not reach the end of the prompts chose nothing.

        A choice counts if every guess before it was right: it is then what one-by-one decoding
        would have chosen, since the noise of each step is fixed beforehand. The others are the
        next guesses (Jacobi iteration; arXiv 2410.01699 for pictures, with coupled noise
        2510.24211). An end mark ends the sequence and is not part of it.
        """
        self.num_read = self.next_piece.stop
        if not chosen:
            return ()
        guesses, num_new = self._guess(len(chosen) - 1), 1
        while num_new < len(chosen) and guesses[num_new - 1] == chosen[num_new - 1]:
            num_new += 1
        new = chosen[: min(num_new, self.limit - len(self.ids))]
        ends = [i for i, token in enumerate(new) if token in self.stop_ids]
        new = new[: ends[0]] if ends else new
        self.ids += new
        self.guesses = chosen[num_new:]
        self.pace += (num_new - self.pace) / 4
        self.num_passes += 1
        self.num_new = len(new)
        if ends:
            self.finish_reason = "stop"
        elif len(self.ids) == self.limit:
            self.finish_reason = "stop" if self.draws else "length"
        return tuple(new)

    def _rows_of_prompts(self) -> list[Row]:
        piece = self.next_piece
        is_last = piece.stop == len(self.prompts[0])
        return [
            Row(
                self,
                slot,
                piece.start,
                prompt.ids[piece.start : piece.stop],
                num_outputs=int(is_last),
                drawn=False,
                prompt=prompt,
            )
            for slot, prompt in zip(self.slots, self.prompts, strict=True)
        ]

    def _guess(self, num: int) -> list[int]:
        """The next ids as far as the last pass saw them, then the last one known again."""
        last = [*self.ids[-1:], *self.guesses][-1:]
        return [*self.guesses, *last * num][:num]


class Ticket:
    """A submitted request: what has come out so far, and how it ended.

    Read it at any time; only the engine changes it.
    """

    def __init__(self, request: TextRequest | ImageRequest, num_image_tokens: int) -> None:
        self.request = request
        self.error: Exception | None = None
        self.admitted_at: float | None = None  # by time.monotonic: the first of its sequences
        self.generator: torch.Generator | None = None  # of a reference drawing, once it runs
        self.held_back = False  # had to wait for lack of memory, wholly or in part
        if isinstance(request, TextRequest):
            self.sequences = (_answer(self, request),)
        else:
            self.sequences = tuple(_pictures(self, request, num_image_tokens))

    @property
    def ids(self) -> tuple[int, ...]:
        """Ids of the answer so far, or of the first picture."""
        return tuple(self.sequences[0].ids)

    @property
    def pictures(self) -> list[tuple[int, ...]]:
        """Ids so far of each picture."""
        return [tuple(sequence.ids) for sequence in self.sequences]

    @property
    def num_steps(self) -> int:
        """Ids chosen so far, of all its sequences."""
        return sum(len(sequence.ids) for sequence in self.sequences)

    @property
    def num_passes(self) -> int:
        """Passes of the model that chose ids of it so far, of all its sequences."""
        return sum(sequence.num_passes for sequence in self.sequences)

    @property
    def total_steps(self) -> int:
        """Ids that it takes: exactly for pictures, at most for an answer."""
        return sum(sequence.limit for sequence in self.sequences)

    @property
    def done(self) -> bool:
        return all(sequence.finish_reason for sequence in self.sequences)

    @property
    def finish_reason(self) -> FinishReason | None:
        """Why it ended, by its last sequence to end unusually; None before the end."""
        reasons = {sequence.finish_reason for sequence in self.sequences}
        order: tuple[FinishReason | None, ...] = (None, "failed", "cancelled", "length", "stop")
        return next(reason for reason in order if reason in reasons)


# Of tickets that are waited for together.


def num_steps(tickets: Iterable[Ticket]) -> int:
    """Ids chosen so far, of all of them."""
    return sum(ticket.num_steps for ticket in tickets)


def all_done(tickets: Iterable[Ticket]) -> bool:
    """Whether there is nothing left to wait for: all are done, or one has failed."""
    tickets = list(tickets)
    return any(ticket.error for ticket in tickets) or all(ticket.done for ticket in tickets)


def raise_errors(tickets: Iterable[Ticket]) -> None:
    """Raises what the first of them failed with, if any did."""
    for ticket in tickets:
        if ticket.error:
            raise ticket.error


def _answer(ticket: Ticket, request: TextRequest) -> Sequence:
    return Sequence(
        ticket=ticket,
        index=0,
        seed=request.seed,
        params=request.params,
        prompts=(request.prompt,),
        draws=False,
        limit=request.params.max_tokens,
        stop_ids=request.eos_ids,
    )


def _pictures(ticket: Ticket, request: ImageRequest, num_image_tokens: int) -> Iterator[Sequence]:
    prompts = (request.prompt,)
    if request.is_guided:
        prompts = (request.prompt, request.prompt.unconditional(request.pad_id))
    for index in range(request.params.count):
        yield Sequence(
            ticket=ticket,
            index=index,
            seed=(request.seed + index) % (LARGEST_SEED + 1),
            params=request.params,
            prompts=prompts,
            draws=True,
            limit=num_image_tokens,
        )
