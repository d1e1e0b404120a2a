"""The one decode loop: requests in, a step at a time, ids out.

Each step advances every running sequence by at least one id: answers, and pictures in pairs of
rows, in the same forward pass. Whoever owns the engine calls `step`, from one thread. Knows no
words and decodes no pictures.
"""

import logging
from collections.abc import Generator
from collections.abc import Sequence as Many
from contextlib import closing
from dataclasses import dataclass

from janus.engine.budget import prompt_tokens_of
from janus.engine.recorded import RecordedRunner
from janus.engine.request import (
    ImageRequest,
    Sequence,
    TextRequest,
    Ticket,
    all_done,
    num_steps,
    raise_errors,
)
from janus.engine.runner import Runner
from janus.engine.scheduler import Scheduler, slots_of, units
from janus.engine.windows import Windows
from janus.errors import ContextError, UsageError, as_janus_error, is_out_of_memory
from janus.generation.results import FinishReason
from janus.model.model import JanusModel
from janus.prompts.batch import Prompt


@dataclass(frozen=True, slots=True, eq=False)
class Event:
    """What a step brought to one ticket: the new ids of some of its sequences, by their index.

    Empty where the ticket ended without a new id: an answer at its end mark, or a failure.
    """

    ticket: Ticket
    new_ids: dict[int, tuple[int, ...]]


class Engine:
    """`num_slots` rows of at most `length` tokens at a time; a guided picture takes two rows."""

    def __init__(
        self,
        model: JanusModel,
        *,
        num_slots: int,
        length: int,
        placeholder_id: int,
        windows: Windows | None = None,
        prompt_tokens: int | None = None,
        recorded: bool | None = None,
    ) -> None:
        """`prompt_tokens` are read in a step at most; unless said otherwise, as suits the model.

        `recorded` passes do not wait for the host; unless said otherwise, those on a GPU.
        """
        self.config, self.windows = model.config, windows or Windows.for_model(model)
        self.num_slots, self.length = num_slots, length
        self.placeholder_id = placeholder_id
        self.scheduler = Scheduler(num_slots, prompt_tokens or prompt_tokens_of(model))
        sizes = dict(num_slots=num_slots, length=length, placeholder_id=placeholder_id)
        if recorded or (recorded is None and model.device.type == "cuda"):
            self.runner = RecordedRunner(model, **sizes, largest_window=self.windows.largest)
        else:
            self.runner = Runner(model, **sizes)

    @property
    def has_work(self) -> bool:
        return bool(self.scheduler.running or self.scheduler.waiting)

    @property
    def is_full(self) -> bool:
        """Whether a guided picture that is submitted now waits for room."""
        return bool(self.scheduler.waiting) or self.scheduler.num_free < 2

    def submit(self, request: TextRequest | ImageRequest) -> Ticket:
        """Queues a request; its first ids appear once its prompt is read. Raises as `check`."""
        (ticket,) = self.submit_all([request])
        return ticket

    def submit_all(self, requests: Many[TextRequest | ImageRequest]) -> list[Ticket]:
        """Queues all, or none where one of them raises as `check`."""
        tickets = [self.check(request) for request in requests]
        for ticket in tickets:
            self.scheduler.add(ticket)
        return tickets

    def check(self, request: TextRequest | ImageRequest) -> Ticket:
        """The ticket of a request that could run here, not queued yet. Any thread may ask.

        Raises:
            ContextError: prompt and answer do not fit into a slot.
            UsageError: it could never run here, or its pictures and placeholders do not agree.
        """
        if not request.prompt.ids:
            raise UsageError("The prompt is empty.")
        ticket = Ticket(request, self.config.num_image_tokens)
        for prompt in ticket.sequences[0].prompts:
            self._check_ids(prompt)
            self._check_pixels(prompt)
        self._check_size(ticket)
        return ticket

    def step(self) -> list[Event]:
        """New ids for every sequence whose prompt is read, and a piece further in other prompts.

        A failure ends the tickets behind it, not the engine. Where some sequences are at their
        prompts, the failure is theirs: the others have lost nothing, and simply repeat the step.
        Where it was for lack of memory, those wait first, and fail only if they do not fit alone.
        Recorded passes are read a step later: a step may bring nothing.
        """
        self.scheduler.admit()
        due = self.scheduler.due()
        if not due:
            return []
        try:
            chosen = self.runner.step(self.windows.choose(due))
        except Exception as error:
            events = self._recover([s for s in due if not s.ids] or due, error)
        else:
            events = _record(chosen)
        self.scheduler.release_finished()
        return events

    def cancel(self, ticket: Ticket, reason: FinishReason = "cancelled") -> None:
        """Ends what is unfinished, waiting or running, and frees its slots at once."""
        _end(ticket, reason)
        self.scheduler.release_finished()

    def run(self, ticket: Ticket) -> Generator[Ticket, None, None]:
        """Steps until the ticket is done, and yields it after each step, further or not.

        Other tickets advance in the same steps, and a ticket that others have brought further is
        yielded without one. Giving up the iterator cancels the ticket.

        Raises:
            JanusError: what the ticket failed with.
        """
        with closing(self.run_all([ticket])) as steps:
            for (reached,) in steps:
                yield reached

    def run_all(self, tickets: Many[Ticket]) -> Generator[Many[Ticket], None, None]:
        """`run` for several tickets, which advance together; where one fails, all end."""
        seen, done = 0, False
        try:
            while not done:
                # While the caller holds the tickets, other runs may bring them to their end: that
                # end is yielded too.
                done = all_done(tickets)
                if num_steps(tickets) == seen and not done:
                    self.step()
                    done = all_done(tickets)
                seen = num_steps(tickets)
                yield tickets
        finally:
            for ticket in tickets:
                self.cancel(ticket)
        raise_errors(tickets)

    def _recover(self, sequences: list[Sequence], error: Exception) -> list[Event]:
        log, is_new = logging.getLogger(__name__), not sequences[0].ids
        if is_new and is_out_of_memory(error) and self.scheduler.hold_back(sequences):
            log.warning("too little memory for all at once: %d have to wait", len(sequences))
            return []
        log.exception("a step failed")
        return self._fail(sequences, error)

    def _fail(self, sequences: list[Sequence], error: Exception) -> list[Event]:
        # Without its traceback, whose frames would keep the tensors of the failed step alive.
        shown = as_janus_error(error) or error.with_traceback(None)
        tickets = dict.fromkeys(sequence.ticket for sequence in sequences)
        for ticket in tickets:
            ticket.error = shown
            _end(ticket, "failed")
        return [Event(ticket, {}) for ticket in tickets]

    def _check_ids(self, prompt: Prompt) -> None:
        num_words = self.config.transformer.vocab_size
        if not 0 <= min(prompt.ids) <= max(prompt.ids) < num_words:
            raise UsageError(
                f"The prompt has the ids {min(prompt.ids)} to {max(prompt.ids)}, but the model "
                f"knows 0 to {num_words - 1}.",
                "Were tokenizer and model made for each other?",
            )

    def _check_pixels(self, prompt: Prompt) -> None:
        side = self.config.vision.image_size
        shape = (0, 3, side, side) if prompt.pixels is None else tuple(prompt.pixels.shape)
        if len(shape) != 4 or shape[1:] != (3, side, side):
            raise UsageError(f"Pictures have the shape {shape}, not [number, 3, {side}, {side}].")
        # A number that is not finite would stay in the cache and reach the slot's next user.
        if prompt.pixels is not None and not prompt.pixels.isfinite().all():
            raise UsageError("A picture has pixels that are not finite numbers.")
        needed = shape[0] * self.config.num_image_tokens
        found = prompt.ids.count(self.placeholder_id)
        if found != needed:
            raise UsageError(
                f"{shape[0]} pictures need {needed} placeholders in the prompt, but it has {found}."
            )

    def _check_size(self, ticket: Ticket) -> None:
        prompt, output = len(ticket.request.prompt), ticket.sequences[0].limit
        if prompt + output > self.length:
            raise ContextError(
                f"A prompt of {prompt} tokens and a result of {output} make {prompt + output}, "
                f"but there is room for {self.length}.",
                "Shorten the prompt, or ask for less.",
            )
        needed = max(slots_of(unit) for unit in units(ticket))
        if needed > self.num_slots:
            raise UsageError(
                f"The request takes {needed} rows at once, but there are {self.num_slots}.",
                "Ask for fewer reference pictures at once, or turn guidance off.",
            )


def _record(chosen: list[tuple[Sequence, list[int]]]) -> list[Event]:
    """Hands out the new ids; one event a ticket."""
    new_ids: dict[Ticket, dict[int, tuple[int, ...]]] = {}
    for sequence, choices in chosen:
        new = sequence.record(choices)
        if choices:
            new_ids.setdefault(sequence.ticket, {})
        if new:
            new_ids[sequence.ticket][sequence.index] = new
    return [Event(ticket, ids) for ticket, ids in new_ids.items()]


def _end(ticket: Ticket, reason: FinishReason) -> None:
    for sequence in ticket.sequences:
        sequence.finish_reason = sequence.finish_reason or reason
