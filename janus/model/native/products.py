"""Products with weights of 4, 8 and 16 bits: packing them, and calling the kernel."""

# M rows, K inputs, N outputs, B blocks of sixteen outputs, G groups of a row of inputs

import ctypes

import torch
from torch import Tensor

from janus.model.native.build import has_tiles, library
from janus.model.rounded import GROUP, Rounded4, Rounded8

BLOCK = 16


class _Product(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("x", "y", "sum", "bias")),
        *((name, ctypes.c_void_p) for name in ("w", "scales", "scratch")),
        *((name, ctypes.c_int64) for name in ("M", "N", "K")),
        *((name, ctypes.c_int) for name in ("bits", "is_bfloat16", "has_bfloat16_scales")),
        ("has_tiles", ctypes.c_int),
    )


def suits(shape: tuple[int, int], dtype: torch.dtype) -> bool:
    """Whether the kernel is there, and takes a matrix [N, K] and inputs of this type."""
    num_outputs, num_inputs = shape
    is_tiled = num_outputs % BLOCK == 0 and num_inputs % GROUP == 0
    return is_tiled and dtype in (torch.float32, torch.bfloat16) and library() is not None


def pack4(rounded: Rounded4, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Weights [B, K / 8, 64] and their scales [B, G, 2, 16] in `dtype`, for the kernel."""
    whole_BnKhk = rounded.whole().unflatten(0, (-1, BLOCK)).unflatten(-1, (-1, 2, 4))
    earlier, later = whole_BnKhk.unbind(-2)
    packed = (earlier | later << 4).transpose(1, 2).flatten(2)
    scales_BnG2 = rounded.weight_scale.to(dtype).unflatten(0, (-1, BLOCK))
    return packed.contiguous(), scales_BnG2.permute(0, 2, 3, 1).contiguous()


def pack8(rounded: Rounded8) -> tuple[Tensor, Tensor]:
    """Weights [B, K / 4, 64] and a scale for each output."""
    whole_NK = (rounded.weight.view(torch.uint8) ^ 128).unflatten(0, (-1, BLOCK))
    packed = whole_NK.unflatten(-1, (-1, 4)).transpose(1, 2).flatten(2)
    return packed.contiguous(), rounded.weight_scale


def pack16(weight_NK: Tensor) -> Tensor:
    """Weights [B, K / 2, 32] in bfloat16."""
    weight_BnKk = weight_NK.bfloat16().unflatten(0, (-1, BLOCK)).unflatten(-1, (-1, 2))
    return weight_BnKk.transpose(1, 2).flatten(2).contiguous()


def unpack16(packed: Tensor) -> Tensor:
    """What `pack16` was given, [N, K]."""
    return packed.unflatten(-1, (BLOCK, 2)).transpose(1, 2).flatten(2).flatten(0, 1)


def scratch_for(num_rows: int, num_inputs: int) -> Tensor:
    """Memory for the inputs in eight bits, with what is known of each span of them."""
    return torch.empty(num_rows * num_inputs * 5 // 4, dtype=torch.uint8)


def multiply(
    x_MK: Tensor, weights: Tensor, scales: Tensor | None, bias_N: Tensor | None, bits: int
) -> Tensor:
    """[M, K] -> [M, N], in the type of the inputs, for what `pack4`, `pack8` or `pack16` gives.

    A bias is of that type too. Weights of 16 bits take inputs in bfloat16.
    """
    kernels = library()
    assert kernels is not None
    x_MK = x_MK.contiguous()
    num_rows, num_inputs = x_MK.shape
    y_MN = x_MK.new_empty(num_rows, len(weights) * BLOCK)
    scratch = scratch_for(num_rows, num_inputs)
    job = _Product(
        x_MK.data_ptr(),
        y_MN.data_ptr(),
        None,
        None if bias_N is None else bias_N.data_ptr(),
        weights.data_ptr(),
        None if scales is None else scales.data_ptr(),
        scratch.data_ptr(),
        num_rows,
        y_MN.shape[1],
        num_inputs,
        bits,
        x_MK.dtype is torch.bfloat16,
        scales is not None and scales.dtype is torch.bfloat16,
        has_tiles(),
    )
    kernels.janus_multiply(ctypes.byref(job), torch.get_num_threads())
    return y_MN
