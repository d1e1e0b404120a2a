"""Products with weights as they are, in float32 or bfloat16: one matrix, or one of each head.

A row's numbers do not depend on the other rows, to the bit, which torch's products do not promise.
For matrices so small that their kernel's speed is no matter.
"""

# N rows, H heads, K inputs, M outputs

import ctypes

import torch
from torch import Tensor

from janus.model.native.build import library


class _WholeProduct(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("x", "w", "y")),
        *((name, ctypes.c_int64) for name in ("rows", "heads", "inputs", "outputs")),
        *((name, ctypes.c_int64) for name in ("x_row", "x_head", "w_head", "w_input")),
        ("is_bfloat16", ctypes.c_int),
    )


def suits(weight: Tensor) -> bool:
    """Whether the kernel is there, and takes such weights."""
    is_known = weight.dtype in (torch.float32, torch.bfloat16)
    return weight.device.type == "cpu" and is_known and library() is not None


def multiply(x_NHK: Tensor, w_HKM: Tensor) -> Tensor:
    """Each head's inputs times its weights, [N, H, M]. Both are of one type."""
    kernels = library()
    assert kernels is not None
    assert x_NHK.dtype is w_HKM.dtype
    x_NHK, w_HKM = (x if x.stride(-1) == 1 else x.contiguous() for x in (x_NHK, w_HKM))
    num_rows, num_heads, num_inputs = x_NHK.shape
    y_NHM = x_NHK.new_empty(num_rows, num_heads, w_HKM.shape[-1])
    job = _WholeProduct(
        *(x.data_ptr() for x in (x_NHK, w_HKM, y_NHM)),
        *(num_rows, num_heads, num_inputs, w_HKM.shape[-1]),
        *(*x_NHK.stride()[:2], *w_HKM.stride()[:2]),
        x_NHK.dtype is torch.bfloat16,
    )
    kernels.janus_multiply_whole(ctypes.byref(job), torch.get_num_threads())
    return y_NHM
