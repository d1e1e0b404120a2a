"""All layers of a transformer in one call: what is between its products costs Python more than C.

Takes the weights of each layer as the other kernels have them, and few new tokens of rows whose
earlier ones lie in slots. The result is that of the layers one by one, to the bit.
"""

# N tokens, D width, H heads, K key heads, d width of a head, S slots, L positions

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from janus.model.native.build import has_tiles, library
from janus.model.native.products import BLOCK, Matrix, scratch_for


class _Matrix(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("w", "scales", "levels")),
        ("outputs", ctypes.c_int64),
        ("bits", ctypes.c_int),
    )


class _Layer(ctypes.Structure):
    _fields_ = (
        ("attention_norm", ctypes.c_void_p),
        ("feed_forward_norm", ctypes.c_void_p),
        *((name, _Matrix) for name in ("qkv", "out", "gate_up", "down")),
        ("k", ctypes.c_void_p),
        ("v", ctypes.c_void_p),
    )


class _Step(ctypes.Structure):
    _fields_ = (
        ("layers", ctypes.c_void_p),
        *((name, ctypes.c_void_p) for name in ("hidden", "normed", "wide", "narrow", "q")),
        *((name, ctypes.c_void_p) for name in ("scratch", "cosine", "sine", "slots", "positions")),
        *((name, ctypes.c_int64) for name in ("num_layers", "tokens", "width", "heads")),
        *((name, ctypes.c_int64) for name in ("key_heads", "head_width", "inner", "places")),
        *((name, ctypes.c_float) for name in ("epsilon", "scale")),
        ("has_tiles", ctypes.c_int),
    )


@dataclass(frozen=True, slots=True)
class Layer:
    """The weights of one layer."""

    attention_norm_D: Tensor
    feed_forward_norm_D: Tensor
    qkv: Matrix
    out: Matrix
    gate_up: Matrix
    down: Matrix

    @property
    def struct(self) -> _Layer:
        return _Layer(
            self.attention_norm_D.data_ptr(),
            self.feed_forward_norm_D.data_ptr(),
            _struct_of(self.qkv),
            _struct_of(self.out),
            _struct_of(self.gate_up),
            _struct_of(self.down),
        )


class Layers:
    """All of a transformer's, and what they have in common."""

    def __init__(
        self,
        layers: Sequence[Layer],
        *,
        heads: int,
        key_heads: int,
        head_width: int,
        inner: int,
        epsilon: float,
    ) -> None:
        self.layers = tuple(layers)  # the structures below point into them
        self.heads, self.key_heads, self.head_width = heads, key_heads, head_width
        self.inner, self.epsilon = inner, epsilon
        self._structs = (_Layer * len(self.layers))(*(layer.struct for layer in self.layers))

    def run(
        self,
        hidden_ND: Tensor,
        cos_N1d: Tensor,
        sin_N1d: Tensor,
        slots_N: Tensor,
        positions_N: Tensor,
        cache: Sequence[tuple[Tensor, Tensor]],
    ) -> Tensor:
        """Embeddings in bfloat16 -> hidden states before the last norm, [N, D].

        `cache` is each layer's keys and values [S, K, L, d], where those of the new tokens are
        kept; L is more than any position.
        """
        kernels = library()
        assert kernels is not None
        # A copy: several threads may run the same weights, each with a cache of its own.
        structs = (_Layer * len(self.layers)).from_buffer_copy(self._structs)
        for struct, (k_SKLd, v_SKLd) in zip(structs, cache, strict=True):
            struct.k, struct.v = k_SKLd.data_ptr(), v_SKLd.data_ptr()
        hidden_ND = hidden_ND.clone(memory_format=torch.contiguous_format)
        num_tokens, width = hidden_ND.shape
        attended = self.heads * self.head_width
        qkv_width = attended + 2 * self.key_heads * self.head_width
        widest = max(attended, width, self.inner)
        memory = (
            hidden_ND.new_empty(num_tokens, numbers)
            for numbers in (width, max(qkv_width, 2 * self.inner), widest, attended)
        )
        tensors = (
            hidden_ND,
            *memory,
            scratch_for(num_tokens, widest),
            cos_N1d.contiguous(),
            sin_N1d.contiguous(),
            slots_N,
            positions_N,
        )
        step = _Step(
            ctypes.addressof(structs),
            *(tensor.data_ptr() for tensor in tensors),
            len(self.layers),
            num_tokens,
            width,
            self.heads,
            self.key_heads,
            self.head_width,
            self.inner,
            cache[0][0].shape[2],
            self.epsilon,
            self.head_width**-0.5,
            has_tiles(),
        )
        kernels.janus_run(ctypes.byref(step), torch.get_num_threads())
        return hidden_ND


def _struct_of(matrix: Matrix) -> _Matrix:
    return _Matrix(*matrix.pointers, len(matrix.packed) * BLOCK, matrix.bits)
