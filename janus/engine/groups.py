"""Hidden states of a step in, the next id of each sequence out.

A group is the sequences of a step that share a head and a way of choosing: answers, pictures, and
each reference drawing. Its tensors are built before the forward pass, so that nothing waits after.
"""

# R rows of the batch, S sequences of a group, D width, K candidates

from typing import Protocol

import torch
from torch import Tensor

from janus.engine.request import Row, Sequence, Ticket
from janus.generation.guidance import guide
from janus.generation.params import DrawParams
from janus.generation.sampling import Sampling, choose
from janus.model.model import JanusModel


class Group(Protocol):
    sequences: list[Sequence]

    def choose(self, model: JanusModel, hidden_RD: Tensor) -> Tensor:
        """The next ids of its sequences, [S], from the last hidden state of every row."""
        ...


def form_groups(sequences: list[Sequence], rows: list[Row], device: torch.device) -> list[Group]:
    """Reference drawings come last: they alone have a state that choosing changes."""
    places: dict[Sequence, list[int]] = {}
    for place, row in enumerate(rows):
        places.setdefault(row.sequence, []).append(place)
    answers = [s for s in sequences if not s.draws]
    pictures = [s for s in sequences if s.draws and not s.is_reference]
    drawings: dict[Ticket, list[Sequence]] = {}
    for sequence in sequences:
        if sequence.is_reference:
            drawings.setdefault(sequence.ticket, []).append(sequence)
    groups: list[Group] = []
    if answers:
        groups.append(Answers(answers, places, device))
    if pictures:
        groups.append(Pictures(pictures, places, device))
    groups += [ReferenceDrawing(members, places, device) for members in drawings.values()]
    return groups


class Answers:
    def __init__(
        self, sequences: list[Sequence], places: dict[Sequence, list[int]], device: torch.device
    ) -> None:
        self.sequences = sequences
        self.rows_S = torch.tensor([places[s][0] for s in sequences], device=device)
        self.sampling = _sampling(sequences, device)

    def choose(self, model: JanusModel, hidden_RD: Tensor) -> Tensor:
        return choose(model.text_logits(hidden_RD[self.rows_S]), self.sampling)


class Pictures:
    def __init__(
        self, sequences: list[Sequence], places: dict[Sequence, list[int]], device: torch.device
    ) -> None:
        self.sequences = sequences
        self.pairs_2S = _pairs(sequences, places, device)
        weights = [_draw_params(s).guidance for s in sequences]
        self.weight_S = torch.tensor(weights, device=device)
        self.sampling = _sampling(sequences, device)

    def choose(self, model: JanusModel, hidden_RD: Tensor) -> Tensor:
        cond_SK, uncond_SK = model.image_logits(hidden_RD[self.pairs_2S]).chunk(2)
        return choose(guide(cond_SK, uncond_SK, self.weight_S), self.sampling)


class ReferenceDrawing:
    """All pictures of one request, sampled as the original code does.

    Guidance in the model's own dtype, softmax, and one multinomial draw over all pictures from one
    generator (deepseek-ai/Janus, generation_inference.py): ids depend on count and device.
    """

    def __init__(
        self, sequences: list[Sequence], places: dict[Sequence, list[int]], device: torch.device
    ) -> None:
        self.sequences = sequences
        self.params = _draw_params(sequences[0])
        self.pairs_2S = _pairs(sequences, places, device)
        ticket = sequences[0].ticket
        if ticket.generator is None:
            ticket.generator = torch.Generator(device).manual_seed(ticket.request.seed)
        self.generator = ticket.generator

    def choose(self, model: JanusModel, hidden_RD: Tensor) -> Tensor:
        cond_SK, uncond_SK = model.image_logits(hidden_RD[self.pairs_2S]).chunk(2)
        logits_SK = uncond_SK + self.params.guidance * (cond_SK - uncond_SK)
        if self.params.temperature == 0:
            return logits_SK.argmax(dim=-1)
        probability_SK = (logits_SK / self.params.temperature).softmax(dim=-1)
        return torch.multinomial(probability_SK, 1, generator=self.generator)[:, 0]


def _pairs(
    sequences: list[Sequence], places: dict[Sequence, list[int]], device: torch.device
) -> Tensor:
    """Conditional rows, then unconditional ones; without guidance, a row is its own pair."""
    cond = [places[sequence][0] for sequence in sequences]
    uncond = [places[sequence][-1] for sequence in sequences]
    return torch.tensor(cond + uncond, device=device)


def _sampling(sequences: list[Sequence], device: torch.device) -> Sampling:
    return Sampling.of(
        params=[sequence.params for sequence in sequences],
        seeds=[sequence.seed for sequence in sequences],
        steps=[len(sequence.ids) for sequence in sequences],
        device=device,
    )


def _draw_params(sequence: Sequence) -> DrawParams:
    assert isinstance(sequence.params, DrawParams)
    return sequence.params
