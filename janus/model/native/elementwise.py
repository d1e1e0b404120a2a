"""What lies between the products, number by number: one call each, where torch takes five to ten.

Everything is computed in float32 and rounded once.
"""

# N tokens, D width, H heads, e width of a head, all of it rotated

import ctypes

import torch
from torch import Tensor

from janus.model.native.build import library

LANES = 16


class _Rows(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("x", "weight", "cosine", "sine", "y")),
        *((name, ctypes.c_int64) for name in ("rows", "x_row", "y_row", "y_head")),
        *((name, ctypes.c_int64) for name in ("heads", "width")),
        ("epsilon", ctypes.c_float),
        ("is_bfloat16", ctypes.c_int),
    )


def suits(x: Tensor, *others: Tensor, width: int) -> bool:
    """Whether the kernels are there, and take these; gradients do not pass through them."""
    return (
        x.device.type == "cpu"
        and x.dtype in (torch.float32, torch.bfloat16)
        and all(other.dtype is x.dtype for other in others)
        and width % LANES == 0
        and not torch.is_grad_enabled()
        and library() is not None
    )


def normalize(x: Tensor, weight_D: Tensor, epsilon: float) -> Tensor:
    """x / root mean square of x * weight, along the last dimension."""
    x = x.contiguous()
    return _call("normalize", x, x.shape, row=x.shape[-1], weight=weight_D, epsilon=epsilon)


def gate(x: Tensor) -> Tensor:
    """silu(first half) * second half, along the last dimension."""
    return _call("gate", x.contiguous(), (*x.shape[:-1], x.shape[-1] // 2), row=x.shape[-1])


def rotate(x_NHe: Tensor, cos_N1e: Tensor, sin_N1e: Tensor) -> Tensor:
    """x * cos + (x with its halves exchanged) * sin, [N, H, e]."""
    is_dense = x_NHe.stride()[1:] == (x_NHe.shape[2], 1)
    x_NHe = x_NHe if is_dense else x_NHe.contiguous()
    return _call(
        "rotate",
        x_NHe,
        x_NHe.shape,
        row=x_NHe.stride(0),
        heads=x_NHe.shape[1],
        cosine=cos_N1e.contiguous(),
        sine=sin_N1e.contiguous(),
    )


def _call(
    name: str,
    x: Tensor,
    shape: tuple[int, ...],
    *,
    row: int,
    heads: int = 1,
    weight: Tensor | None = None,
    cosine: Tensor | None = None,
    sine: Tensor | None = None,
    epsilon: float = 0.0,
) -> Tensor:
    y, width = x.new_empty(shape), shape[-1]
    job = _Rows(
        x.data_ptr(),
        *(None if tensor is None else tensor.data_ptr() for tensor in (weight, cosine, sine)),
        y.data_ptr(),
        y.numel() // (heads * width),
        row,
        heads * width,
        width,
        heads,
        width,
        epsilon,
        x.dtype is torch.bfloat16,
    )
    getattr(library(), f"janus_{name}")(ctypes.byref(job), torch.get_num_threads())
    return y
