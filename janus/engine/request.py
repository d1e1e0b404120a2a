"""What is asked of the engine, and how far it has come.

A request becomes a `Ticket` with one `Sequence` for its answer, or one for each of its pictures.
Sequences know their prompts, their ids so far and the rows that they bring to the next forward
pass; they hold no tensors but the pixels of the prompt.
"""

from collections.abc import Iterator
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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ImageRequest:
    """`params.count` pictures of one prompt; picture i uses seed + i."""

    prompt: Prompt
    params: DrawParams
    seed: int
    pad_id: int


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """The new tokens of one row: a whole prompt, or the id that was chosen last."""

    sequence: "Sequence"
    slot: int
    position: int
    tokens: Prompt
    drawn: bool  # the id is an image code, not a word

    @property
    def count(self) -> int:
        return len(self.tokens)


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
    slots: tuple[int, ...] = ()
    finish_reason: FinishReason | None = None

    @property
    def num_slots(self) -> int:
        return len(self.prompts)

    @property
    def is_reference(self) -> bool:
        return isinstance(self.params, DrawParams) and self.params.reference

    def rows(self) -> list[Row]:
        """What it brings to the next forward pass; until the first id is chosen, its prompts."""
        if not self.ids:
            return [
                Row(self, slot, 0, prompt, drawn=False)
                for slot, prompt in zip(self.slots, self.prompts, strict=True)
            ]
        last = Prompt((self.ids[-1],))
        position = len(self.prompts[0]) + len(self.ids) - 1
        return [Row(self, slot, position, last, drawn=self.draws) for slot in self.slots]

    def record(self, token: int) -> bool:
        """Takes the next id; False where it ends the sequence without being part of it."""
        if token in self.stop_ids:
            self.finish_reason = "stop"
            return False
        self.ids.append(token)
        if len(self.ids) == self.limit:
            self.finish_reason = "stop" if self.draws else "length"
        return True


class Ticket:
    """A submitted request: what has come out so far, and how it ended.

    Read it at any time; only the engine changes it.
    """

    def __init__(self, request: TextRequest | ImageRequest, num_image_tokens: int) -> None:
        self.request = request
        self.error: Exception | None = None
        self.generator: torch.Generator | None = None  # of a reference drawing, once it runs
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
    if request.params.guidance != 1:
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
