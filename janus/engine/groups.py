"""Hidden states of a step in, the next ids of each sequence out.

A group is the sequences of a step that share a head and a way of choosing: answers, pictures, and
each reference drawing. Its tensors are built before the forward pass, so that nothing waits after.
"""

# N new tokens of all rows, C choices of a group (one after each id of its sequences' windows),
# D width, K candidates

from dataclasses import dataclass
from itertools import accumulate
from typing import Protocol

import torch
from torch import Tensor

from janus.engine.request import Row, Sequence, Ticket
from janus.generation.guidance import guide
from janus.generation.params import DrawParams
from janus.generation.sampling import Sampling, choose
from janus.model.model import JanusModel


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    """A sequence, and where among the N tokens the outputs of each of its rows stand."""

    sequence: Sequence
    outputs: list[range]

    @property
    def num_choices(self) -> int:
        return len(self.outputs[0])


class Group(Protocol):
    members: list[Member]

    def choose(self, model: JanusModel, hidden_ND: Tensor) -> Tensor:
        """The choices [C] of all its members, from the hidden states of all new tokens."""
        ...


def form_groups(rows: list[Row], device: torch.device) -> list[Group]:
    """Reference drawings come last: they alone have a state that choosing changes."""
    outputs: dict[Sequence, list[range]] = {}
    for row, end in zip(rows, accumulate(row.count for row in rows), strict=True):
        if row.num_outputs:
            outputs.setdefault(row.sequence, []).append(range(end - row.num_outputs, end))
    members = [Member(sequence, ranges) for sequence, ranges in outputs.items()]
    answers = [m for m in members if not m.sequence.draws]
    pictures = [m for m in members if m.sequence.draws and not m.sequence.is_reference]
    drawings: dict[Ticket, list[Member]] = {}
    for member in members:
        if member.sequence.is_reference:
            drawings.setdefault(member.sequence.ticket, []).append(member)
    groups: list[Group] = []
    if answers:
        groups.append(Answers(answers, device))
    if pictures:
        groups.append(Pictures(pictures, device))
    return groups + [ReferenceDrawing(members, device) for members in drawings.values()]


class Answers:
    def __init__(self, members: list[Member], device: torch.device) -> None:
        self.members = members
        self.places_C = _places(members, row=0, device=device)
        self.sampling = _sampling(members, device)

    def choose(self, model: JanusModel, hidden_ND: Tensor) -> Tensor:
        return choose(model.text_logits(hidden_ND[self.places_C]), self.sampling)


class Pictures:
    def __init__(self, members: list[Member], device: torch.device) -> None:
        self.members = members
        self.pairs_2C = _pairs(members, device)
        weights = [_draw_params(m).guidance for m in members for _ in range(m.num_choices)]
        self.weight_C = torch.tensor(weights, device=device)
        self.sampling = _sampling(members, device)

    def choose(self, model: JanusModel, hidden_ND: Tensor) -> Tensor:
        cond_CK, uncond_CK = model.image_logits(hidden_ND[self.pairs_2C]).chunk(2)
        return choose(guide(cond_CK, uncond_CK, self.weight_C), self.sampling)


class ReferenceDrawing:
    """All pictures of one request, sampled as the original code does.

    Guidance in the model's own dtype, softmax, and one multinomial draw over all pictures from one
    generator (deepseek-ai/Janus, generation_inference.py): ids depend on count and device.
    """

    def __init__(self, members: list[Member], device: torch.device) -> None:
        # The generator serves the pictures in their order.
        self.members = sorted(members, key=lambda member: member.sequence.index)
        self.params = _draw_params(members[0])
        self.pairs_2C = _pairs(self.members, device)
        ticket = members[0].sequence.ticket
        if ticket.generator is None:
            ticket.generator = torch.Generator(device).manual_seed(ticket.request.seed)
        self.generator = ticket.generator

    def choose(self, model: JanusModel, hidden_ND: Tensor) -> Tensor:
        cond_CK, uncond_CK = model.image_logits(hidden_ND[self.pairs_2C]).chunk(2)
        logits_CK = uncond_CK + self.params.guidance * (cond_CK - uncond_CK)
        if self.params.temperature == 0:
            return logits_CK.argmax(dim=-1)
        probability_CK = (logits_CK / self.params.temperature).softmax(dim=-1)
        return torch.multinomial(probability_CK, 1, generator=self.generator)[:, 0]


def _pairs(members: list[Member], device: torch.device) -> Tensor:
    """Conditional rows, then unconditional ones; without guidance, a row is its own pair."""
    return torch.cat([_places(members, row=row, device=device) for row in (0, -1)])


def _places(members: list[Member], row: int, device: torch.device) -> Tensor:
    return torch.tensor([i for m in members for i in m.outputs[row]], device=device)


def _sampling(members: list[Member], device: torch.device) -> Sampling:
    choices = [(m.sequence, i) for m in members for i in range(m.num_choices)]
    return Sampling.of(
        params=[sequence.params for sequence, _ in choices],
        seeds=[sequence.seed for sequence, _ in choices],
        steps=[len(sequence.ids) + i for sequence, i in choices],
        device=device,
    )


def _draw_params(member: Member) -> DrawParams:
    assert isinstance(member.sequence.params, DrawParams)
    return member.sequence.params
