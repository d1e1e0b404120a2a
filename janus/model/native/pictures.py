"""Products, norms and attention of whole pictures in bfloat16, for a vision transformer.

What is multiplied lies in squares of 32 by 32 numbers, as AMX reads them; without AMX, AVX-512 does
the same. A picture's numbers do not depend on the pictures beside it, to the bit.
"""

# B pictures, N patches, K inputs, C outputs, D width, H heads, d width of a head
# R = N / 32 and S = K / 32, both rounded up: rows and columns of squares

import ctypes

import torch
from torch import Tensor

from janus.model.native.build import has_tiles, library

SIDE = 32


class _Product(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("left", "right", "bias", "residual", "out")),
        *((name, ctypes.c_int64) for name in ("pictures", "rows", "depth", "columns")),
        *((name, ctypes.c_int) for name in ("has_gelu", "has_tiles", "threads")),
    )


class _Attention(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("qkv", "out")),
        *((name, ctypes.c_int64) for name in ("pictures", "rows", "heads", "width")),
        ("scale", ctypes.c_float),
        *((name, ctypes.c_int) for name in ("has_tiles", "threads")),
    )


class _Norm(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("x", "weight", "bias", "out")),
        *((name, ctypes.c_int64) for name in ("pictures", "rows", "width")),
        ("epsilon", ctypes.c_float),
        ("threads", ctypes.c_int),
    )


def suits(*widths: int) -> bool:
    """Whether the kernels are there, and take matrices and heads of these widths."""
    return all(width % SIDE == 0 for width in widths) and library() is not None


def pack(weight_CK: Tensor) -> Tensor:
    """A matrix as the right side of a product: [C / 32, S, 2, 16, 16, 2]."""
    tiles = weight_CK.detach().unflatten(0, (-1, 2, 16)).unflatten(-1, (-1, 16, 2))
    return tiles.permute(0, 3, 1, 4, 2, 5).contiguous()


def unpack(packed: Tensor) -> Tensor:
    """What `pack` was given."""
    return packed.permute(0, 2, 4, 1, 3, 5).flatten(0, 2).flatten(1)


def normalize(x_BND: Tensor, weight_D: Tensor, bias_D: Tensor, epsilon: float) -> Tensor:
    """Layer norm, in squares [B, R, S, 32, 32]."""
    x_BND = x_BND.contiguous()
    num_pictures, num_rows, width = x_BND.shape
    out = _squares(x_BND, num_pictures, num_rows, width)
    pointers = (x.data_ptr() for x in (x_BND, weight_D, bias_D, out))
    _call("normalize", _Norm(*pointers, *x_BND.shape, epsilon, torch.get_num_threads()))
    return out


def multiply(
    squares: Tensor,
    packed: Tensor,
    bias_C: Tensor,
    num_rows: int,
    *,
    residual_BNC: Tensor | None = None,
) -> Tensor:
    """A linear layer of `num_rows` rows of each picture -> [B, N, C]."""
    out = squares.new_empty(len(squares), num_rows, len(bias_C))
    return _multiply(squares, packed, bias_C, num_rows, residual_BNC, out, has_gelu=False)


def multiply_gelu(squares: Tensor, packed: Tensor, bias_C: Tensor, num_rows: int) -> Tensor:
    """The exact GELU of a linear layer, in squares again."""
    out = _squares(squares, len(squares), num_rows, len(bias_C))
    return _multiply(squares, packed, bias_C, num_rows, None, out, has_gelu=True)


def attend(qkv_BND: Tensor, num_heads: int) -> Tensor:
    """Softmax attention of each patch to all of its picture, in squares; D = 3 * H * d."""
    num_pictures, num_rows, width = qkv_BND.shape
    head_width = width // num_heads // 3
    out = _squares(qkv_BND, num_pictures, num_rows, width // 3)
    job = _Attention(
        qkv_BND.data_ptr(),
        out.data_ptr(),
        num_pictures,
        num_rows,
        num_heads,
        head_width,
        head_width**-0.5,
        has_tiles(),
        torch.get_num_threads(),
    )
    _call("attend", job)
    return out


def _squares(like: Tensor, num_pictures: int, num_rows: int, num_columns: int) -> Tensor:
    shape = (num_pictures, -(-num_rows // SIDE), num_columns // SIDE, SIDE, SIDE)
    return like.new_empty(shape)


def _multiply(
    squares: Tensor,
    packed: Tensor,
    bias_C: Tensor,
    num_rows: int,
    residual_BNC: Tensor | None,
    out: Tensor,
    *,
    has_gelu: bool,
) -> Tensor:
    job = _Product(
        *(x.data_ptr() for x in (squares, packed, bias_C)),
        None if residual_BNC is None else residual_BNC.data_ptr(),
        out.data_ptr(),
        len(squares),
        num_rows,
        squares.shape[2] * SIDE,
        len(bias_C),
        has_gelu,
        has_tiles(),
        torch.get_num_threads(),
    )
    _call("multiply", job)
    return out


def _call(name: str, job: ctypes.Structure) -> None:
    getattr(library(), f"janus_{name}_pictures")(ctypes.byref(job))
