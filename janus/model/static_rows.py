"""Rows that are known by tensors alone: every pass is the same operations on the same memory.

So a GPU can record a pass once and repeat it without the host (`janus.engine.recorded`). Slots and
positions are read when the pass runs, not when it is recorded.
"""

# N new tokens of all rows, R rows, T new tokens of each, L positions of a slot

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from janus.model.cache import Block, Cache, Rows, mask_R1TL


@dataclass(frozen=True)
class StaticRows(Rows):
    """Blocks of rows; the rows of a block bring equally many new tokens."""

    parts: tuple["StaticBlock", ...] = ()

    @classmethod
    def of(cls, cache: Cache, *parts: tuple[Tensor, Tensor]) -> "StaticRows":
        """From the slots [R] and the positions [R, T] of each block's new tokens."""
        blocks, place = [], 0
        for slots_R, positions_RT in parts:
            tokens = slice(place, place + positions_RT.numel())
            ends_R = positions_RT[:, -1] + 1
            sizes = (cache.num_slots, cache.length)
            blocks.append(StaticBlock(tokens, slots_R, positions_RT, ends_R, *sizes))
            place = tokens.stop
        counts = tuple(block.count for block in blocks for _ in block.slots_R)
        return cls(counts=counts, starts=(), parts=tuple(blocks))

    @cached_property
    def positions_N(self) -> Tensor:
        return torch.cat([block.positions_RT.flatten() for block in self.parts])

    @property
    def blocks(self) -> tuple[Block, ...]:
        return self.parts


@dataclass(frozen=True)
class StaticBlock:
    """Attends to whole slots behind a mask, where no kernel reads just what is filled."""

    tokens: slice
    slots_R: Tensor
    positions_RT: Tensor
    ends_R: Tensor
    num_slots: int
    length: int
    is_causal = False

    @property
    def count(self) -> int:
        return self.positions_RT.shape[1]

    @property
    def index_R(self) -> Tensor:
        return self.slots_R

    @property
    def places_RT(self) -> tuple[Tensor, Tensor]:
        return self.slots_R[:, None].expand_as(self.positions_RT), self.positions_RT

    def mask_R1TL(self, length: int | None = None) -> Tensor:
        return mask_R1TL(self.positions_RT, length or self.length)
