"""Attention of new tokens to slots: the cache is read where it lies.

Of few, in float32 and bfloat16; of many, as prompts bring them, in bfloat16 where there is AMX. A
row's result does not depend on the other rows, to the bit.
"""

# R rows, T new tokens of each, H heads, K key heads, S slots, L positions, d width of a value

import ctypes

import torch
from torch import Tensor

from janus.model.native.build import has_tiles, library
from janus.model.native.pictures import SIDE

MOST_NEW = 8  # tokens of a row that are few


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
    """Whether `attend_slots` takes T new tokens and these widths; `group` may be of any size."""
    return num_new <= MOST_NEW and key_width % 32 == 0 and value_width % 16 == 0


def suits_prompts(q_RTHd: Tensor, k_SKLd: Tensor, v_SKLd: Tensor) -> bool:
    """Whether `attend_prompts` takes these, and there is something that it does better."""
    widths = {q_RTHd.shape[-1], k_SKLd.shape[-1], v_SKLd.shape[-1]}
    is_bfloat16 = q_RTHd.device.type == "cpu" and q_RTHd.dtype is torch.bfloat16
    is_square = len(widths) == 1 and widths.pop() % SIDE == 0
    is_many = q_RTHd.shape[1] > MOST_NEW
    return is_bfloat16 and is_square and is_many and library() is not None and has_tiles()


def attend_slots(
    q_RTHk: Tensor, k_SKLk: Tensor, v_SKLd: Tensor, slots_R: Tensor, ends_R: Tensor, scale: float
) -> Tensor:
    """Softmax attention of each row's new tokens to its slot, [R, T, H, d].

    The new tokens of row r are the last of its first `ends_R[r]` positions, and each sees those
    up to its own. Keys may be wider than values, and both the same memory.
    """
    q_RTHk = q_RTHk if q_RTHk.stride(-1) == 1 else q_RTHk.contiguous()
    job, out_RTHd = _job(q_RTHk, k_SKLk, v_SKLd, slots_R, ends_R, scale)
    kernels = library()
    assert kernels is not None
    kernels.janus_attend(ctypes.byref(job), torch.get_num_threads())
    return out_RTHd


def attend_prompts(
    q_RTHd: Tensor, k_SKLd: Tensor, v_SKLd: Tensor, slots_R: Tensor, ends_R: Tensor, scale: float
) -> Tensor:
    """As `attend_slots`, for many new tokens, keys as wide as values, and weights in bfloat16."""
    q_RTHd = q_RTHd if q_RTHd.stride(-1) == 1 else q_RTHd.contiguous()
    job, out_RTHd = _job(q_RTHd, k_SKLd, v_SKLd, slots_R, ends_R, scale)
    kernels, num_threads = library(), torch.get_num_threads()
    assert kernels is not None
    room = num_threads * kernels.janus_room_for_prompts(ctypes.byref(job))
    scratch = torch.empty(room, dtype=torch.uint8)
    kernels.janus_attend_prompts(
        ctypes.byref(job), ctypes.c_void_p(scratch.data_ptr()), num_threads
    )
    return out_RTHd


def _job(
    q_RTHk: Tensor, k_SKLk: Tensor, v_SKLd: Tensor, slots_R: Tensor, ends_R: Tensor, scale: float
) -> tuple[_Attention, Tensor]:
    """And where its results will be. The tensors must live as long as it is used."""
    num_rows, num_new, num_heads, key_width = q_RTHk.shape
    width = v_SKLd.shape[-1]
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
    return job, out_RTHd
