"""Which new tokens belong to which row, and what earlier tokens left behind.

A forward pass takes the new tokens of all rows in one flat list [N, D]; `Rows` says how the list
divides. The cache holds one contiguous slot a row, of fixed length, allocated once.
"""

# N new tokens of all rows, R rows, S slots, L positions of a slot, ... what is kept of a token

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor


@dataclass(frozen=True)
class Rows:
    """How N flat tokens divide into rows: row r brings `counts[r]` after `starts[r]` old ones.

    Rows that bring a single token come first, so that decoding rows form one batch.
    `slots` names the cache slot of each row; without a cache it is empty.
    """

    counts: tuple[int, ...]
    starts: tuple[int, ...]
    slots: tuple[int, ...] = ()
    device: torch.device | str = "cpu"

    def __post_init__(self) -> None:
        singles = [count == 1 for count in self.counts]
        if singles != sorted(singles, reverse=True):
            raise ValueError("rows with a single new token must come first")

    @classmethod
    def uniform(cls, num_rows: int, length: int, device: torch.device | str = "cpu") -> "Rows":
        """Complete rows of equal length, without a cache (training, comparison)."""
        return cls(counts=(length,) * num_rows, starts=(0,) * num_rows, device=device)

    @cached_property
    def num_single(self) -> int:
        """Rows that bring exactly one token."""
        return sum(count == 1 for count in self.counts)

    @cached_property
    def positions_N(self) -> Tensor:
        """Position of each new token in its row."""
        pieces = [
            torch.arange(start, start + count)
            for start, count in zip(self.starts, self.counts, strict=True)
        ]
        return torch.cat(pieces).to(self.device)

    @cached_property
    def slots_R(self) -> Tensor:
        return torch.tensor(self.slots, device=self.device)

    @cached_property
    def slots_N(self) -> Tensor:
        """Slot of each new token."""
        counts_R = torch.tensor(self.counts, device=self.device)
        return self.slots_R.repeat_interleave(counts_R, output_size=sum(self.counts))

    @cached_property
    def last_R(self) -> Tensor:
        """Index, among the N tokens, of the last new token of each row."""
        return torch.tensor(self.counts, device=self.device).cumsum(0) - 1

    @cached_property
    def single_length(self) -> int:
        """Longest context among the rows that bring a single token."""
        return max(self.starts[: self.num_single], default=0) + 1

    @cached_property
    def single_mask_R11L(self) -> Tensor:
        """Which cached positions each single-token row may see."""
        starts_R = torch.tensor(self.starts[: self.num_single], device=self.device)
        return (torch.arange(self.single_length, device=self.device) <= starts_R[:, None])[
            :, None, None
        ]

    def prefills(self) -> list[tuple[slice, int, int]]:
        """(its place among the N tokens, slot, tokens already cached) of each longer row."""
        place, found = self.num_single, []
        for row in range(self.num_single, len(self.counts)):
            stop = place + self.counts[row]
            found.append((slice(place, stop), self.slots[row], self.starts[row]))
            place = stop
        return found


class LayerCache:
    """What one layer remembers: tensors [S, L, ...] that share slots and positions."""

    def __init__(self, *tensors: Tensor) -> None:
        self.tensors = tensors

    def write(self, rows: Rows, *values_N: Tensor) -> None:
        """Stores each new token's values [N, ...] at its slot and position."""
        for tensor, value_N in zip(self.tensors, values_N, strict=True):
            tensor[rows.slots_N, rows.positions_N] = value_N

    def singles(self, rows: Rows) -> tuple[Tensor, ...]:
        """The slots of the single-token rows, up to the longest: [R, L, ...] each."""
        slots_R = rows.slots_R[: rows.num_single]
        return tuple(tensor[slots_R, : rows.single_length] for tensor in self.tensors)

    def slot(self, slot: int, length: int) -> tuple[Tensor, ...]:
        """The first `length` positions of one slot: [L, ...] each, without copying."""
        return tuple(tensor[slot, :length] for tensor in self.tensors)


class Cache:
    """All layers' memory: `num_slots` slots of `length` positions, allocated once."""

    def __init__(self, layers: list[LayerCache], num_slots: int, length: int) -> None:
        self.layers = layers
        self.num_slots = num_slots
        self.length = length

    @property
    def num_bytes(self) -> int:
        return sum(t.numel() * t.element_size() for layer in self.layers for t in layer.tensors)
