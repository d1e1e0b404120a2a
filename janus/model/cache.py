"""Which new tokens belong to which row, and what earlier tokens left behind.

A forward pass takes the new tokens of all rows in one flat list [N, D]; `Rows` says how the list
divides. The cache holds one contiguous slot a row; on a CPU, slots grow together while they fill.
"""

# N new tokens of all rows, R rows, T new tokens of each, S slots, L positions of a slot,
# ... heads if any, x numbers kept of a token

from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from typing import Protocol

import torch
from torch import Tensor

from janus.model.memory import zeros

CHUNK = 64  # positions that slots on a CPU grow by


class Block(Protocol):
    """R rows that bring T = `count` new tokens each, and attend in one batch."""

    @property
    def tokens(self) -> slice:
        """Their place among the N tokens."""
        ...

    @property
    def count(self) -> int: ...

    @property
    def length(self) -> int:
        """Positions that may be attended to, the new tokens' included."""
        ...

    @property
    def num_slots(self) -> int:
        """Up to the last one of these rows."""
        ...

    @property
    def is_causal(self) -> bool:
        """All rows are new, so that token t sees the first t + 1 positions."""
        ...

    @property
    def slots_R(self) -> Tensor: ...

    @property
    def ends_R(self) -> Tensor:
        """Positions of each row, its new tokens included."""
        ...

    @property
    def index_R(self) -> slice | Tensor:
        """Their slots; those that lie side by side are read without being copied."""
        ...

    @property
    def places_RT(self) -> tuple[slice, slice] | tuple[Tensor, Tensor]:
        """Slot and position of each new token; where they form a rectangle, its two sides."""
        ...

    def mask_R1TL(self, length: int | None = None) -> Tensor | None:
        """Which of its positions, or of the first `length`, each new token sees.

        One row for all where they are equally long; None where `is_causal` says it, or where each
        row has one new token that sees everything.
        """
        ...


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

    @property
    def mask_R1TT(self) -> Tensor | None:
        """What each token of complete rows may see; None for everything before it and itself."""
        return None

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """Neighbouring rows of equally many new tokens, which attend in one batch.

        Rows that begin and rows that go on are kept apart: only the former need no mask.
        """
        blocks, row, place = [], 0, 0
        tokens_before = zip(self.counts, self.starts, strict=True)
        kinds = [(count, count > 1 and start == 0) for count, start in tokens_before]
        for (count, _), members in groupby(kinds):
            stop = row + len(list(members))
            tokens = slice(place, place + (stop - row) * count)
            blocks.append(
                RowBlock(tokens, count, self.starts[row:stop], self.slots[row:stop], self.device)
            )
            row, place = stop, tokens.stop
        return tuple(blocks)


@dataclass(frozen=True)
class RowBlock:
    """A `Block` whose slots and lengths the host knows."""

    tokens: slice
    count: int
    starts: tuple[int, ...]
    slots: tuple[int, ...]
    device: torch.device | str

    @property
    def length(self) -> int:
        return max(self.starts) + self.count

    @property
    def num_slots(self) -> int:
        return 1 + max(self.slots)

    @property
    def is_causal(self) -> bool:
        return self.count > 1 and not any(self.starts)

    @cached_property
    def slots_R(self) -> Tensor:
        return torch.tensor(self.slots, device=self.device)

    @cached_property
    def ends_R(self) -> Tensor:
        return torch.tensor(self.starts, device=self.device) + self.count

    @cached_property
    def index_R(self) -> slice | Tensor:
        first, num = self.slots[0], len(self.slots)
        if self.slots == tuple(range(first, first + num)):
            return slice(first, first + num)
        return self.slots_R

    @cached_property
    def places_RT(self) -> tuple[slice, slice] | tuple[Tensor, Tensor]:
        start = self.starts[0]
        if isinstance(self.index_R, slice) and self.starts == (start,) * len(self.starts):
            return self.index_R, slice(start, start + self.count)
        return self.slots_R[:, None].expand_as(self._positions_RT), self._positions_RT

    def mask_R1TL(self, length: int | None = None) -> Tensor | None:
        length = length or self.length
        if length not in self._masks:
            self._masks[length] = self._new_mask(length)
        return self._masks[length]

    @cached_property
    def _masks(self) -> dict[int, Tensor | None]:
        return {}

    def _new_mask(self, length: int) -> Tensor | None:
        is_level = len(set(self.starts)) == 1
        if length == self.length and is_level and (self.is_causal or self.count == 1):
            return None
        return mask_R1TL(self._positions_RT[:1] if is_level else self._positions_RT, length)

    @cached_property
    def _positions_RT(self) -> Tensor:
        return self.ends_R[:, None] + torch.arange(-self.count, 0, device=self.device)


def mask_R1TL(positions_RT: Tensor, length: int | None = None) -> Tensor:
    """Of the first `length` positions, those up to each token's own; L = T without a length."""
    length = length or positions_RT.shape[1]
    return (torch.arange(length, device=positions_RT.device) <= positions_RT[..., None])[:, None]


@dataclass(frozen=True)
class BranchedRows(Rows):
    """Complete rows of a stem and branches, each of which continues the stem as if it were alone.

    `branches_RT` gives each token's branch, from 1 on, or 0 for the stem, which comes first. So
    several conversations share the work for one picture (as in Molmo, arXiv 2409.17146).
    """

    branches_RT: Tensor = field(kw_only=True)

    @classmethod
    def of(cls, branches_RT: Tensor) -> "BranchedRows":
        num_rows, length = branches_RT.shape
        return cls((length,) * num_rows, (0,) * num_rows, branches_RT=branches_RT)

    @cached_property
    def mask_R1TT(self) -> Tensor:
        seen_R1T, seeing_RT1 = self.branches_RT[:, None], self.branches_RT[:, :, None]
        return ((seen_R1T == 0) | (seen_R1T == seeing_RT1)).tril()[:, None]

    @cached_property
    def positions_N(self) -> Tensor:
        """As many as the tokens that come before in the stem and the token's own branch."""
        return (self.mask_R1TT.sum(dim=-1) - 1).flatten()


class LayerCache:
    """What one layer remembers: tensors [S, ..., L, x] that share slots and positions.

    Heads come before positions, so that a kernel finds what it reads of a head side by side.
    """

    def __init__(self, like: Tensor, num_slots: int, length: int, *parts: tuple[int, ...]) -> None:
        """`parts` are the shapes [..., x] of what is kept of a token, and `length` the most L."""
        self.length = length
        is_cpu = like.device.type == "cpu"
        capacity = min(CHUNK, length) if is_cpu else length
        shapes = [(num_slots, *part[:-1], capacity, part[-1]) for part in parts]
        self.tensors = tuple(
            zeros(*shape, dtype=like.dtype) if is_cpu else like.new_zeros(shape) for shape in shapes
        )
        self.num_used = 0  # slots

    @property
    def capacity(self) -> int:
        """Positions that there is memory for."""
        return self.tensors[0].shape[-2]

    def write(self, rows: Rows, *values_N: Tensor) -> None:
        """Stores each new token's values [N, ..., x] at its slot and position."""
        self.reserve(rows)
        for block in rows.blocks:
            slots, positions = block.places_RT
            for tensor, value_N in zip(self.tensors, values_N, strict=True):
                value_RT = value_N[block.tokens].unflatten(0, (-1, block.count))
                if isinstance(positions, slice):  # a plain copy: quicker than finding each place
                    tensor[slots, ..., positions, :] = value_RT.movedim(1, -2)
                else:
                    tensor[slots, ..., positions, :] = value_RT

    def read(self, block: Block, length: int | None = None) -> tuple[Tensor, ...]:
        """The slots of these rows, up to the longest or to `length`: [R, ..., L, x] each."""
        stop = length or block.length
        return tuple(tensor[block.index_R, ..., :stop, :] for tensor in self.tensors)

    def cheapest_length(self, block: Block) -> int:
        """As far as to read for a kernel that copies what is not contiguous: a bit too far, or not.

        A copy reads and writes everything once more.
        """
        is_near = self.capacity <= max(CHUNK, 1.5 * block.length)
        return self.capacity if is_near and isinstance(block.index_R, slice) else block.length

    def reserve(self, rows: Rows) -> None:
        """Sees to it that there is memory for all positions of these rows."""
        for block in rows.blocks:
            self.make_room(block.num_slots, block.length)

    def make_room(self, num_slots: int, length: int) -> None:
        """Sees to it that the first slots have memory for so many positions."""
        self.num_used = max(self.num_used, num_slots)
        if length <= self.capacity:
            return
        old, capacity = self.tensors, min(-(-length // CHUNK) * CHUNK, self.length)
        shapes = [(*tensor.shape[:-2], capacity, tensor.shape[-1]) for tensor in old]
        self.tensors = tuple(zeros(*shape, dtype=old[0].dtype) for shape in shapes)
        for tensor, kept in zip(self.tensors, old, strict=True):
            used = slice(self.num_used)  # the memory of slots never used stays untouched
            tensor[used, ..., : kept.shape[-2], :] = kept[used]


class Cache:
    """All layers' memory: `num_slots` slots of at most `length` positions."""

    def __init__(self, layers: list[LayerCache], num_slots: int, length: int) -> None:
        self.layers = layers
        self.num_slots = num_slots
        self.length = length

    def make_room(self, num_slots: int, length: int) -> None:
        """As each layer does it."""
        for layer in self.layers:
            layer.make_room(num_slots, length)

    @property
    def num_bytes(self) -> int:
        """That it takes now."""
        return sum(t.numel() * t.element_size() for layer in self.layers for t in layer.tensors)
