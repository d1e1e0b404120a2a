"""Attention of few queries to long slots: the cache is read where it lies.

In float32 and bfloat16. A row's result does not depend on the others, to the bit.
"""

# R rows, T new tokens of each, H heads, K key heads, S slots, L positions, d width of a value

import ctypes

import torch
from torch import Tensor

from janus.model.native.build import library

MOST_NEW = 8  # tokens of a row; more are faster in blocks, as torch does it


class _Attention(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("q", "k", "v", "out", "slots", "ends")),
        *((f"q_{name}", ctypes.c_int64) for name in ("row", "new", "head")),
        *((f"k_{name}", ctypes.c_int64) for name in ("slot", "head", "place")),
        *((f"v_{name}", ctypes.c_int64) for name in ("slot", "head", "place")),
        *((name, ctypes.c_int64) for name in ("rows", "news", "heads", "key_heads")),
        *((name, ctypes.c_int64) for name in ("key_width", "width")),
        ("scale", ctypes.c_float),
        ("is_bfloat16", ctypes.c_int),
    )


def suits(num_new: int, group: int, key_width: int, value_width: int) -> bool:
    """Whether the kernel takes T new tokens and these widths; `group` may be of any size."""
    return num_new <= MOST_NEW and key_width % 32 == 0 and value_width % 16 == 0


def attend_slots(
    q_RTHk: Tensor, k_SKLk: Tensor, v_SKLd: Tensor, slots_R: Tensor, ends_R: Tensor, scale: float
) -> Tensor:
    """Softmax attention of each row's new tokens to its slot, [R, T, H, d].

    The new tokens of row r are the last of its first `ends_R[r]` positions, and each sees those
    up to its own. Keys may be wider than values, and both the same memory.
    """
    kernels = library()
    assert kernels is not None
    num_rows, num_new, num_heads, key_width = q_RTHk.shape
    width = v_SKLd.shape[-1]
    q_RTHk = q_RTHk if q_RTHk.stride(-1) == 1 else q_RTHk.contiguous()
    out_RTHd = q_RTHk.new_empty(num_rows, num_new, num_heads, width)
    job = _Attention(
        *(x.data_ptr() for x in (q_RTHk, k_SKLk, v_SKLd, out_RTHd, slots_R, ends_R)),
        *q_RTHk.stride()[:3],
        *k_SKLk.stride()[:3],
        *v_SKLd.stride()[:3],
        num_rows,
        num_new,
        num_heads,
        k_SKLk.shape[1],
        key_width,
        width,
        scale,
        q_RTHk.dtype is torch.bfloat16,
    )
    kernels.janus_attend(ctypes.byref(job), torch.get_num_threads())
    return out_RTHd
