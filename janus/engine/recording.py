"""A pass that needs nothing from the host: recorded once, it is repeated as it is.

Pictures and answers in, their next ids out, and their own tensors brought forward, so that the
next pass may follow at once. Which sequences they are is loaded before the first of such passes.
No GPU has run this yet; on a CPU, where there is nothing to record, the same operations are tested.
"""

# B sequences of a kind, W ids of each in a pass (the last one and guesses), R rows, D width,
# K candidates

from collections.abc import Sequence as Many
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from janus.engine.request import Sequence
from janus.generation.guidance import guide
from janus.generation.params import DrawParams
from janus.generation.sampling import Sampling, choose
from janus.model.cache import Cache
from janus.model.model import JanusModel
from janus.model.static_rows import StaticRows


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What a recording can serve: so many sequences of each kind, or fewer."""

    pictures: int
    answers: int
    window: int  # ids of a picture
    filtered: bool  # by top-k or top-p

    @classmethod
    def of(cls, sequences: Many[Sequence], window: int) -> "Shape":
        """Rounded up to powers of two, so that few recordings serve all."""
        pictures = sum(sequence.draws for sequence in sequences)
        return cls(
            pictures=_power_of_two(pictures),
            answers=_power_of_two(len(sequences) - pictures),
            window=window if pictures else 1,
            filtered=any(s.params.top_k > 0 or s.params.top_p < 1 for s in sequences),
        )


class Recording:
    """The pass of one shape, with all that it reads and writes."""

    def __init__(
        self, model: JanusModel, codes: Tensor, cache: Cache, spare_slot: int, shape: Shape
    ) -> None:
        """`codes` are the inputs [K, D] of all image codes; `spare_slot` takes what is unused."""
        self.model, self.codes, self.cache, self.shape = model, codes, cache, shape
        rows = _State.of(model.device, shape.pictures, shape.window, spare_slot, num_rows=2)
        self.pictures = rows if shape.pictures else None
        rows = _State.of(model.device, shape.answers, 1, spare_slot, num_rows=1)
        self.answers = rows if shape.answers else None
        num_choices = shape.pictures * shape.window + shape.answers
        self.choices_C = torch.zeros(num_choices, dtype=torch.long, device=model.device)
        self.graph: torch.cuda.CUDAGraph | None = None

    def record(self, pool: Any) -> None:
        """Makes a CUDA graph of the pass, in the memory that recordings share."""
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):  # libraries allocate when they are first called
            for _ in range(2):
                self._pass()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=pool):
            self._pass()
        self.graph = graph

    def load(self, sequences: Many[Sequence]) -> None:
        """Takes over where the sequences stand."""
        if self.pictures is not None:
            self.pictures.load([s for s in sequences if s.draws])
        if self.answers is not None:
            self.answers.load([s for s in sequences if not s.draws])

    def run(self) -> None:
        """One pass; what it chooses is in `choices_C`: W a picture, then one an answer."""
        if self.graph is not None:
            self.graph.replay()
        else:
            self._pass()

    def choices_of(self, sequences: Many[Sequence], choices: list[int]) -> list[list[int]]:
        """Those of each sequence."""
        window, drawn, written = self.shape.window, 0, self.shape.pictures * self.shape.window
        found = []
        for sequence in sequences:
            if sequence.draws:
                found.append(choices[drawn : drawn + window])
                drawn += window
            else:
                found.append([choices[written]])
                written += 1
        return found

    def _pass(self) -> None:
        states = [state for state in (self.pictures, self.answers) if state is not None]
        hidden_ND = self.model(
            torch.cat(self._inputs()),
            StaticRows.of(self.cache, *(state.places(self.cache.length) for state in states)),
            self.cache,
        )
        chosen = []
        drawn = 0 if self.pictures is None else self.pictures.num_tokens
        if self.pictures is not None:
            logits_RK = self.model.image_logits(hidden_ND[:drawn])
            cond_CK, uncond_CK = logits_RK.chunk(2)
            is_guided_C1 = self.pictures.each_token(self.pictures.guided_B)[:, None]
            guided_CK = guide(
                cond_CK,
                uncond_CK.where(is_guided_C1, cond_CK),
                self.pictures.each_token(self.pictures.weight_B),
            )
            chosen.append(self.pictures.choose(guided_CK, self.shape.filtered))
        if self.answers is not None:
            logits_CK = self.model.text_logits(hidden_ND[drawn:])
            chosen.append(self.answers.choose(logits_CK, self.shape.filtered))
        self.choices_C.copy_(torch.cat(chosen))

    def _inputs(self) -> list[Tensor]:
        inputs = []
        if self.pictures is not None:
            drawn_ND = self.codes[self.pictures.tokens_BW.flatten()]
            inputs.append(drawn_ND.repeat(2, 1))  # conditional rows, then unconditional ones
        if self.answers is not None:
            inputs.append(self.model.embed_text(self.answers.tokens_BW[:, 0]))
        return inputs


@dataclass(frozen=True, slots=True, kw_only=True)
class _State:
    """Where B sequences of a kind stand, on the device."""

    tokens_BW: Tensor  # the last id known, and guesses of the next
    position_B: Tensor  # of the first of these
    step_B: Tensor  # ids known
    slots_R: Tensor  # of their first rows, then of their second ones
    seed_B: Tensor
    temperature_B: Tensor
    top_k_B: Tensor
    top_p_B: Tensor
    weight_B: Tensor  # of guidance
    guided_B: Tensor
    spare_slot: int

    @classmethod
    def of(
        cls, device: torch.device, num: int, window: int, spare_slot: int, num_rows: int
    ) -> "_State":
        whole = torch.zeros(num, dtype=torch.long, device=device)
        real = torch.ones(num, device=device)
        return cls(
            tokens_BW=whole.repeat(window, 1).T.contiguous(),
            position_B=whole.clone(),
            step_B=whole.clone(),
            slots_R=whole.repeat(num_rows) + spare_slot,
            seed_B=whole.clone(),
            temperature_B=real.clone(),
            top_k_B=whole.clone(),
            top_p_B=real.clone(),
            weight_B=real.clone(),
            guided_B=torch.zeros_like(whole, dtype=torch.bool),
            spare_slot=spare_slot,
        )

    @property
    def num_tokens(self) -> int:
        """Of a pass."""
        return len(self.slots_R) * self.tokens_BW.shape[1]

    def load(self, sequences: Many[Sequence]) -> None:
        num, window = self.tokens_BW.shape
        _fill(self.tokens_BW, [sequence.next_tokens(window) for sequence in sequences])
        _fill(self.position_B, [sequence.position for sequence in sequences])
        _fill(self.step_B, [len(sequence.ids) for sequence in sequences])
        _fill(self.seed_B, [sequence.seed for sequence in sequences])
        _fill(self.temperature_B, [sequence.params.temperature for sequence in sequences])
        _fill(self.top_k_B, [sequence.params.top_k for sequence in sequences])
        _fill(self.top_p_B, [sequence.params.top_p for sequence in sequences])
        _fill(self.guided_B, [sequence.num_slots > 1 for sequence in sequences])
        _fill(self.weight_B, [_guidance(sequence) for sequence in sequences])
        self.slots_R.fill_(self.spare_slot)
        for index, slots_B in enumerate(self.slots_R.split(num)):
            _fill(slots_B, [s.slots[index] for s in sequences if index < s.num_slots])

    def places(self, length: int) -> tuple[Tensor, Tensor]:
        """Slots [R] and positions [R, W] of the new tokens; those that ended stay at the end."""
        window = self.tokens_BW.shape[1]
        starts_B1 = self.position_B.clamp(max=length - window)[:, None]
        positions_BW = starts_B1 + torch.arange(window, device=starts_B1.device)
        return self.slots_R, positions_BW.repeat(len(self.slots_R) // len(starts_B1), 1)

    def each_token(self, value_B: Tensor) -> Tensor:
        return value_B.repeat_interleave(self.tokens_BW.shape[1])

    def choose(self, logits_CK: Tensor, filtered: bool) -> Tensor:
        """The choices [C] after each token, C = B * W; brings everything forward by them."""
        window = self.tokens_BW.shape[1]
        steps_BW = self.step_B[:, None] + torch.arange(window, device=self.step_B.device)
        sampling = Sampling(
            temperature_R=self.each_token(self.temperature_B),
            top_k_R=self.each_token(self.top_k_B),
            top_p_R=self.each_token(self.top_p_B),
            seeds_R=self.each_token(self.seed_B),
            steps_R=steps_BW.flatten(),
            filtered=filtered,
        )
        chosen_BW = choose(logits_CK, sampling).view_as(self.tokens_BW)
        self._advance(chosen_BW)
        return chosen_BW.flatten()

    def _advance(self, chosen_BW: Tensor) -> None:
        """As `Sequence.record` does: choices count up to the first wrong guess."""
        window = chosen_BW.shape[1]
        right_BW = self.tokens_BW[:, 1:] == chosen_BW[:, :-1]
        num_new_B = 1 + right_BW.cumprod(dim=1).sum(dim=1)
        places_BW = (num_new_B - 1)[:, None] + torch.arange(window, device=chosen_BW.device)
        self.tokens_BW.copy_(chosen_BW.gather(1, places_BW.clamp(max=window - 1)))
        self.position_B.add_(num_new_B)
        self.step_B.add_(num_new_B)


def _fill(tensor_B: Tensor, values: list) -> None:
    """Takes over the values of as many sequences as there are."""
    if values:
        tensor_B[: len(values)] = torch.tensor(values, dtype=tensor_B.dtype)


def _guidance(sequence: Sequence) -> float:
    return sequence.params.guidance if isinstance(sequence.params, DrawParams) else 1.0


def _power_of_two(num: int) -> int:
    return 1 << (num - 1).bit_length() if num else 0
