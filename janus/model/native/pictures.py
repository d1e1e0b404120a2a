"""A vision transformer of bfloat16 in one call: products, norms and attention of whole pictures.

What is multiplied lies in squares of 32 by 32 numbers, as AMX reads them; without AMX, AVX-512 does
the same. A picture's numbers do not depend on the pictures beside it, to the bit.
"""

# B pictures, N patches, K inputs, C outputs, D width
# S = K / 32: squares side by side

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import torch
import torch.nn.functional as F
from torch import Tensor

from janus.model.memory import in_large_pages
from janus.model.native.build import has_tiles, library

SIDE = 32
NUM_BUFFERS = 3


class Kind(IntEnum):
    """What a step does: see `pictures.h`."""

    NORM = 0
    PRODUCT = 1
    SUM = 2
    GELU = 3
    ATTENTION = 4


class _Step(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("weight", "bias")),
        *((name, ctypes.c_int64) for name in ("inputs", "outputs", "heads")),
        ("epsilon", ctypes.c_float),
        *((name, ctypes.c_int) for name in ("kind", "from", "to")),
    )


class _Pictures(ctypes.Structure):
    _fields_ = (
        ("steps", ctypes.c_void_p),
        ("buffers", ctypes.c_void_p * NUM_BUFFERS),
        ("scratch", ctypes.c_void_p),
        *((name, ctypes.c_int64) for name in ("num_steps", "pictures", "rows", "room")),
        *((name, ctypes.c_int) for name in ("has_tiles", "threads")),
    )


@dataclass(frozen=True, slots=True)
class Step:
    """From one of the buffers to another; the first has what goes in."""

    kind: Kind
    source: int
    target: int
    inputs: int
    outputs: int
    weight: Tensor | None = None  # of a norm, or packed
    bias: Tensor | None = None
    heads: int = 0
    epsilon: float = 0

    def widths_of(self, buffer: int) -> list[int]:
        """What it needs of it."""
        ends = (self.source, self.inputs), (self.target, self.outputs)
        return [width for end, width in ends if end == buffer]

    @property
    def struct(self) -> _Step:
        weight, bias = (None if x is None else x.data_ptr() for x in (self.weight, self.bias))
        sizes = self.inputs, self.outputs, self.heads
        return _Step(weight, bias, *sizes, self.epsilon, self.kind, self.source, self.target)


class Steps:
    """What is done to pictures, one step after the other."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self.steps = tuple(steps)  # the structures below point into them
        self._structs = (_Step * len(self.steps))(*(step.struct for step in self.steps))
        self._widths = [
            max((width for step in steps for width in step.widths_of(buffer)), default=0)
            for buffer in range(NUM_BUFFERS)
        ]

    @torch.no_grad()
    def run(self, x_BND: Tensor) -> Tensor:
        """Rows of pictures in bfloat16 -> what the last step leaves of them, [B, N, C]."""
        kernels, (num_pictures, num_rows) = library(), x_BND.shape[:2]
        assert kernels is not None
        num_lines, num_threads = -(-num_rows // SIDE), torch.get_num_threads()
        buffers = [
            x_BND.new_empty(num_pictures * num_lines * SIDE * width) for width in self._widths
        ]
        squares = (num_pictures, num_lines, -1, SIDE, SIDE)
        padded = F.pad(x_BND, (0, 0, 0, num_lines * SIDE - num_rows))
        buffers[0][: padded.numel()].view(squares).transpose(2, 3).copy_(
            padded.view(num_pictures, num_lines, SIDE, -1, SIDE)
        )
        job = _Pictures(
            ctypes.addressof(self._structs),
            (ctypes.c_void_p * NUM_BUFFERS)(*(buffer.data_ptr() for buffer in buffers)),
            None,
            len(self.steps),
            num_pictures,
            num_rows,
            0,
            has_tiles(),
            num_threads,
        )
        job.room = kernels.janus_room_for_pictures(ctypes.byref(job))
        scratch = torch.empty(num_threads * job.room, dtype=torch.uint8)
        job.scratch = scratch.data_ptr()
        kernels.janus_run_pictures(ctypes.byref(job))
        last = self.steps[-1]
        used = num_pictures * num_lines * SIDE * last.outputs
        out = buffers[last.target][:used].view(squares).transpose(2, 3)
        return out.flatten(3).flatten(1, 2)[:, :num_rows]


def suits(*widths: int) -> bool:
    """Whether the kernels are there, and take matrices and heads of these widths."""
    return all(width % SIDE == 0 for width in widths) and library() is not None


def pack(weight_CK: Tensor) -> Tensor:
    """A matrix as the right side of a product: [C / 32, S, 2, 16, 16, 2]."""
    tiles = weight_CK.detach().unflatten(0, (-1, 2, 16)).unflatten(-1, (-1, 16, 2))
    return in_large_pages(tiles.permute(0, 3, 1, 4, 2, 5))


def unpack(packed: Tensor) -> Tensor:
    """What `pack` was given."""
    return packed.permute(0, 2, 4, 1, 3, 5).flatten(0, 2).flatten(1)
