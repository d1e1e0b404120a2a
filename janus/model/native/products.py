"""Products with weights of 4, 8 and 16 bits: packing them, and calling the kernel."""

# M rows, K inputs, N outputs, B blocks of sixteen outputs, G groups and S spans of a row of inputs

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from janus.model.memory import in_large_pages
from janus.model.native.build import has_tiles, library
from janus.model.rounded import GROUP, Rounded4, Rounded8

BLOCK = 16
ROWS = 32  # that tiles multiply at once


class _Product(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("x", "y", "sum", "bias")),
        *((name, ctypes.c_void_p) for name in ("w", "scales", "levels", "scratch")),
        *((name, ctypes.c_int64) for name in ("M", "N", "K")),
        *((name, ctypes.c_int) for name in ("bits", "is_bfloat16", "has_tiles")),
    )


@dataclass(frozen=True, slots=True)
class Matrix:
    """What `pack4`, `pack8` or `pack16` gives."""

    bits: int
    packed: Tensor
    scales: Tensor | None = None
    levels: Tensor | None = None

    @property
    def num_bytes(self) -> int:
        parts = self.packed, self.scales, self.levels
        return sum(part.nbytes for part in parts if part is not None)

    @property
    def pointers(self) -> tuple[int, int | None, int | None]:
        """To the weights, scales and levels."""
        return self.packed.data_ptr(), _pointer(self.scales), _pointer(self.levels)


def suits(shape: tuple[int, int], dtype: torch.dtype) -> bool:
    """Whether the kernel is there, and takes a matrix [N, K] and inputs of this type."""
    num_outputs, num_inputs = shape
    is_tiled = num_outputs % BLOCK == 0 and num_inputs % GROUP == 0
    return is_tiled and dtype in (torch.float32, torch.bfloat16) and library() is not None


def pack4(rounded: Rounded4) -> Matrix:
    """Weights [B, K / 8, 64], scales [B, S, 16] and levels [B, G, 2, 16], for the kernel."""
    whole_BnKhk = rounded.whole().unflatten(0, (-1, BLOCK)).unflatten(-1, (-1, 2, 4))
    earlier, later = whole_BnKhk.unbind(-2)
    packed = in_large_pages((earlier | later << 4).transpose(1, 2)).flatten(2)
    scales_BSn = rounded.weight_scale.unflatten(0, (-1, BLOCK)).mT.contiguous()
    levels_BnG2 = rounded.weight_levels.unflatten(0, (-1, BLOCK))
    return Matrix(4, packed, scales_BSn, levels_BnG2.permute(0, 2, 3, 1).contiguous())


def pack8(rounded: Rounded8) -> Matrix:
    """Weights [B, K / 4, 64] and a scale for each output."""
    whole_NK = (rounded.weight.view(torch.uint8) ^ 128).unflatten(0, (-1, BLOCK))
    packed = in_large_pages(whole_NK.unflatten(-1, (-1, 4)).transpose(1, 2)).flatten(2)
    return Matrix(8, packed, rounded.weight_scale)


def pack16(weight_NK: Tensor) -> Matrix:
    """Weights [B, K / 2, 32] in bfloat16."""
    weight_BnKk = weight_NK.bfloat16().unflatten(0, (-1, BLOCK)).unflatten(-1, (-1, 2))
    return Matrix(16, in_large_pages(weight_BnKk.transpose(1, 2)).flatten(2))


def unpack16(packed: Tensor) -> Tensor:
    """The matrix that `pack16` was given, [N, K]."""
    return packed.unflatten(-1, (BLOCK, 2)).transpose(1, 2).flatten(2).flatten(0, 1)


def scratch_for(num_rows: int, num_inputs: int) -> Tensor:
    """Memory for the inputs as they are multiplied, with what is known of each span of them.

    In bfloat16 they take two bytes; in eight bits one, and less than another with their scales and
    sums.
    """
    if num_rows > ROWS:
        num_rows = -(-num_rows // ROWS) * ROWS
    return torch.empty(2 * num_rows * num_inputs, dtype=torch.uint8)


def multiply(x_MK: Tensor, matrix: Matrix, bias_N: Tensor | None = None) -> Tensor:
    """[M, K] -> [M, N], in the type of the inputs.

    A bias is of that type too. Weights of 16 bits take inputs in bfloat16.
    """
    return _multiply(x_MK, [(len(x_MK), matrix)], bias_N)


def multiply_each(x_MK: Tensor, matrices: Sequence[Matrix], counts: Sequence[int]) -> Tensor:
    """`multiply` of so many rows with each of some matrices of equal shapes, in their order."""
    return _multiply(x_MK, [pair for pair in zip(counts, matrices, strict=True) if pair[0]], None)


def _multiply(x_MK: Tensor, pieces: Sequence[tuple[int, Matrix]], bias_N: Tensor | None) -> Tensor:
    kernels = library()
    assert kernels is not None
    x_MK, num_inputs = x_MK.contiguous(), x_MK.shape[1]
    y_MN = x_MK.new_empty(len(x_MK), len(pieces[0][1].packed) * BLOCK if pieces else 0)
    scratch = scratch_for(max((num_rows for num_rows, _ in pieces), default=0), num_inputs)
    jobs, row = (_Product * len(pieces))(), 0
    for i, (num_rows, matrix) in enumerate(pieces):
        jobs[i] = _Product(
            x_MK[row:].data_ptr(),
            y_MN[row:].data_ptr(),
            None,
            _pointer(bias_N),
            *matrix.pointers,
            scratch.data_ptr(),  # one product after the other
            num_rows,
            y_MN.shape[1],
            num_inputs,
            matrix.bits,
            x_MK.dtype is torch.bfloat16,
            has_tiles(),
        )
        row += num_rows
    kernels.janus_multiply(jobs, ctypes.c_int64(len(pieces)), torch.get_num_threads())
    return y_MN


def _pointer(x: Tensor | None) -> int | None:
    return None if x is None else x.data_ptr()
