"""Which new tokens belong to which row, and what earlier tokens left behind.

A forward pass takes the new tokens of all rows in one flat list [N, D]; `Rows` says how the list
divides. The cache holds one contiguous slot a row, of fixed length, allocated once.
"""

# N new tokens of all rows, R rows, T new tokens of each, S slots, L positions of a slot,
# ... what is kept of a token

from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

import torch
from torch import Tensor


@dataclass(frozen=True)
class Rows:
    """How N flat tokens divide into rows: row r brings `counts[r]` after `starts[r]` old ones.

    `slots` names the cache slot of each row; without a cache it is empty.
    """

    counts: tuple[int, ...]
    starts: tuple[int, ...]
    slots: tuple[int, ...] = ()
    device: torch.device | str = "cpu"

    @classmethod
    def uniform(cls, num_rows: int, length: int, device: torch.device | str = "cpu") -> "Rows":
        """Complete rows of equal length, without a cache (training, comparison)."""
        return cls(counts=(length,) * num_rows, starts=(0,) * num_rows, device=device)

    @cached_property
    def positions_N(self) -> Tensor:
        """Position of each new token in its row."""
        spans = zip(self.starts, self.counts, strict=True)
        positions = [position for start, n in spans for position in range(start, start + n)]
        return torch.tensor(positions, device=self.device)

    @cached_property
    def slots_N(self) -> Tensor:
        """Slot of each new token."""
        spans = zip(self.slots, self.counts, strict=True)
        return torch.tensor([slot for slot, n in spans for _ in range(n)], device=self.device)

    @cached_property
    def blocks(self) -> tuple["RowBlock", ...]:
        """Neighbouring rows of equally many new tokens, which attend in one batch."""
        blocks, row, place = [], 0, 0
        for count, members in groupby(self.counts):
            stop = row + len(list(members))
            tokens = slice(place, place + (stop - row) * count)
            blocks.append(
                RowBlock(tokens, count, self.starts[row:stop], self.slots[row:stop], self.device)
            )
            row, place = stop, tokens.stop
        return tuple(blocks)


@dataclass(frozen=True)
class RowBlock:
    """R rows that bring T = `count` new tokens each."""

    tokens: slice  # their place among the N tokens
    count: int
    starts: tuple[int, ...]
    slots: tuple[int, ...]
    device: torch.device | str

    @property
    def length(self) -> int:
        """Positions of the longest row, its new tokens included."""
        return max(self.starts) + self.count

    @property
    def is_causal(self) -> bool:
        """All rows are new, so that token t sees the first t + 1 positions."""
        return self.count > 1 and not any(self.starts)

    @cached_property
    def mask_R1TL(self) -> Tensor | None:
        """Which positions each new token sees; one row for all where they are equally long.

        None where `is_causal` says it, or where each row has one new token that sees everything.
        """
        starts = sorted(set(self.starts))
        if len(starts) == 1 and (self.is_causal or self.count == 1):
            return None
        starts_R = torch.tensor(starts if len(starts) == 1 else self.starts, device=self.device)
        ends_RT1 = (starts_R[:, None] + torch.arange(self.count, device=self.device))[..., None]
        return (torch.arange(self.length, device=self.device) <= ends_RT1)[:, None]

    @cached_property
    def index_R(self) -> slice | Tensor:
        """Their slots; those that lie side by side are read without being copied."""
        first, num = self.slots[0], len(self.slots)
        if self.slots == tuple(range(first, first + num)):
            return slice(first, first + num)
        return torch.tensor(self.slots, device=self.device)


class LayerCache:
    """What one layer remembers: tensors [S, L, ...] that share slots and positions."""

    def __init__(self, *tensors: Tensor) -> None:
        self.tensors = tensors

    def write(self, rows: Rows, *values_N: Tensor) -> None:
        """Stores each new token's values [N, ...] at its slot and position."""
        for tensor, value_N in zip(self.tensors, values_N, strict=True):
            tensor[rows.slots_N, rows.positions_N] = value_N

    def read(self, block: RowBlock) -> tuple[Tensor, ...]:
        """The slots of these rows, up to the longest: [R, L, ...] each."""
        return tuple(tensor[block.index_R, : block.length] for tensor in self.tensors)


class Cache:
    """All layers' memory: `num_slots` slots of `length` positions, allocated once."""

    def __init__(self, layers: list[LayerCache], num_slots: int, length: int) -> None:
        self.layers = layers
        self.num_slots = num_slots
        self.length = length

    @property
    def num_bytes(self) -> int:
        return sum(t.numel() * t.element_size() for layer in self.layers for t in layer.tensors)
