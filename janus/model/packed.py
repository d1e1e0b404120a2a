"""Linear layers whose weights lie as the CPU kernel that reads them fastest wants them.

A matrix goes in, in bfloat16 or rounded to eight or four bits; out comes a module that multiplies
with it, and can neither be trained nor, once it is rounded, saved.
"""

# M rows, K inputs, N outputs, G groups of a row of inputs

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from janus.model.native import products, whole
from janus.model.rounded import GROUP, PIECE, Rounded, Rounded4, Rounded8


class PackedLinear(nn.Module):
    """Takes the place of `nn.Linear`: [..., K] -> [..., N]. `multiply` does it for [M, K]."""

    num_bytes: int  # read for each product, however few rows
    num_cheap_rows: int  # that together cost little more than one

    def __init__(self, out_features: int, in_features: int, bias_N: Tensor | None) -> None:
        super().__init__()
        self.out_features, self.in_features = out_features, in_features
        self.bias_N = None if bias_N is None else bias_N.detach()

    @property
    def num_weights(self) -> int:
        bias = 0 if self.bias_N is None else len(self.bias_N)
        return self.out_features * self.in_features + bias

    def forward(self, x: Tensor) -> Tensor:
        y_MN = self.multiply(x.reshape(-1, self.in_features))
        return y_MN.unflatten(0, x.shape[:-1]) if x.ndim != 2 else y_MN

    def multiply(self, x_MK: Tensor) -> Tensor:
        raise NotImplementedError


class BFloat16Linear(PackedLinear):
    """The same numbers in oneDNN's order.

    A row's sums are the same to the bit beside up to 31 others, so more are multiplied in pieces,
    as long as they are a step of the engine and not a whole long prompt.
    """

    num_cheap_rows = 16  # a quarter more than one
    num_equal_rows = 32
    most_in_pieces = 192

    def __init__(self, weight_NK: Tensor, bias_N: Tensor | None = None) -> None:
        out_features, in_features = weight_NK.shape
        bias_N = None if bias_N is None else bias_N.bfloat16()
        super().__init__(out_features, in_features, bias_N)
        self.packed = torch.ops.mkldnn._reorder_linear_weight(weight_NK.detach().bfloat16(), 16)
        self.num_bytes = 2 * weight_NK.numel()

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        destination[f"{prefix}weight"] = self.packed.to_dense()
        if self.bias_N is not None:
            destination[f"{prefix}bias"] = self.bias_N

    def multiply(self, x_MK: Tensor) -> Tensor:
        linear = torch.ops.mkldnn._linear_pointwise
        num_rows = self.num_equal_rows if len(x_MK) <= self.most_in_pieces else len(x_MK)
        pieces = [
            linear(piece, self.packed, self.bias_N, "none", [], "")
            for piece in x_MK.bfloat16().split(num_rows)
        ]
        y_MN = pieces[0] if len(pieces) == 1 else torch.cat(pieces)
        return y_MN.to(x_MK.dtype)


class Int8Linear(PackedLinear):
    """Eight bits a weight, one scale an output, symmetric. Inputs keep their precision."""

    num_cheap_rows = 4  # a quarter more than one; eight take twice as long

    def __init__(self, rounded: Rounded8, dtype: torch.dtype) -> None:
        out_features, in_features = rounded.weight.shape
        super().__init__(out_features, in_features, rounded.bias)
        self.quantized_NK, self.scale_N = rounded.weight, rounded.weight_scale.to(dtype)
        self.num_bytes = rounded.weight.numel() + 2 * self.out_features

    def multiply(self, x_MK: Tensor) -> Tensor:
        y_MN = torch.ops.aten._weight_int8pack_mm(
            x_MK.contiguous(), self.quantized_NK, self.scale_N
        )
        return y_MN if self.bias_N is None else y_MN + self.bias_N


class DynamicInt8Linear(PackedLinear):
    """Eight bits a weight and eight an input, whose scale is found for each row as it comes.

    Products and sums are whole numbers, so that a row's result does not depend on the other rows,
    to the bit. oneDNN multiplies unsigned inputs: they are moved up by 128.
    """

    num_cheap_rows = 16  # a quarter more than one

    def __init__(self, rounded: Rounded8) -> None:
        out_features, in_features = rounded.weight.shape
        super().__init__(out_features, in_features, rounded.bias)
        self.packed = torch.ops.onednn.qlinear_prepack(rounded.weight, [16, self.in_features])
        self.scale_N = rounded.weight_scale / 127
        self.zero_N = torch.zeros(self.out_features, dtype=torch.int32)
        self.middle = torch.tensor(128.5)  # and a half: the conversion to whole numbers rounds down
        self.num_bytes = rounded.weight.numel() + 8 * self.out_features

    def multiply(self, x_MK: Tensor) -> Tensor:
        # Of the ways to write this, the quickest: a third of the time of an infinity norm.
        largest_M1 = x_MK.abs().amax(dim=-1, keepdim=True).float().clamp_(min=1e-12)
        whole_MK = torch.add(self.middle, x_MK / largest_M1, alpha=127).to(torch.uint8)
        y_MN = torch.ops.onednn.qlinear_pointwise(
            whole_MK,
            1.0,
            128,
            self.packed,
            self.scale_N,
            self.zero_N,
            None,
            1.0,
            0,
            torch.float32,
            "none",
            [],
            "",
        )
        y_MN = y_MN.mul_(largest_M1).to(x_MK.dtype)
        return y_MN if self.bias_N is None else y_MN + self.bias_N


class Int4Linear(PackedLinear):
    """Four bits a weight; each group of inputs has a scale and a middle, in the inputs' type."""

    num_cheap_rows = 4  # two fifths more than one; eight take nearly three times as long

    def __init__(self, rounded: Rounded4, dtype: torch.dtype) -> None:
        super().__init__(len(rounded.weight), 2 * rounded.weight.shape[1], rounded.bias)
        pack = torch.ops.aten._convert_weight_to_int4pack_for_cpu
        self.packed = torch.cat([pack(piece.int(), 1) for piece in rounded.whole().split(PIECE)])
        self.scales_GN2 = rounded.scales_and_middles().to(dtype).transpose(0, 1).contiguous()
        self.num_bytes = rounded.weight.numel() + 2 * self.scales_GN2.numel()

    @staticmethod
    def fits(rounded: Rounded) -> bool:
        """Whether the kernel can do it."""
        return isinstance(rounded, Rounded4) and len(rounded.weight) % 16 == 0

    def multiply(self, x_MK: Tensor) -> Tensor:
        y_MN = torch.ops.aten._weight_int4pack_mm_for_cpu(
            x_MK.contiguous(), self.packed, GROUP, self.scales_GN2
        )
        return y_MN if self.bias_N is None else y_MN + self.bias_N


class NativeLinear(PackedLinear):
    """Weights of four, eight or sixteen bits, with our own kernel.

    Inputs are rounded to eight bits, but for weights of sixteen, which are in bfloat16 as their
    inputs. Beside four bits, each span of a row of inputs has a scale; beside eight, each row.
    """

    def __init__(self, matrix: products.Matrix, bias_N: Tensor | None) -> None:
        num_inputs = 8 * matrix.packed[0].nbytes // products.BLOCK // matrix.bits
        super().__init__(len(matrix.packed) * products.BLOCK, num_inputs, bias_N)
        self.matrix = matrix
        self.num_bytes = matrix.num_bytes
        # Half as much again as one; sixteen take twice as long, but for tiles.
        self.num_cheap_rows = 16 if products.has_tiles() else 8

    @classmethod
    def of(cls, rounded: Rounded) -> "NativeLinear":
        if isinstance(rounded, Rounded4):
            return cls(products.pack4(rounded), rounded.bias)
        assert isinstance(rounded, Rounded8)
        return cls(products.pack8(rounded), rounded.bias)

    @classmethod
    def of_bfloat16(cls, weight_NK: Tensor, bias_N: Tensor | None = None) -> "NativeLinear":
        bias_N = None if bias_N is None else bias_N.bfloat16()
        return cls(products.pack16(weight_NK.detach()), bias_N)

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        if self.matrix.bits == 16:
            destination[f"{prefix}weight"] = products.unpack16(self.matrix.packed)
            if self.bias_N is not None:
                destination[f"{prefix}bias"] = self.bias_N

    def multiply(self, x_MK: Tensor) -> Tensor:
        dtype = self._dtype(x_MK)
        bias_N = None if self.bias_N is None else self.bias_N.to(dtype)
        return products.multiply(x_MK.to(dtype), self.matrix, bias_N).to(x_MK.dtype)

    def _dtype(self, x: Tensor) -> torch.dtype:
        """That its inputs are needed in."""
        return torch.bfloat16 if self.matrix.bits == 16 else x.dtype

    @classmethod
    def multiply_each(
        cls, layers: "Sequence[NativeLinear]", x_MK: Tensor, counts: Sequence[int]
    ) -> Tensor:
        """So many rows with each of some layers of equal shapes without biases, in one call."""
        matrices, dtype = [layer.matrix for layer in layers], layers[0]._dtype(x_MK)
        return products.multiply_each(x_MK.to(dtype), matrices, counts).to(x_MK.dtype)


class InvariantLinear(PackedLinear):
    """Weights as they are, multiplied so that a row's result does not depend on the other rows."""

    num_cheap_rows = 64  # their number hardly matters for such small matrices

    def __init__(self, weight_NK: Tensor, bias_N: Tensor | None = None) -> None:
        out_features, in_features = weight_NK.shape
        super().__init__(out_features, in_features, bias_N)
        self.weight_KN = weight_NK.detach().T.contiguous()
        self.num_bytes = self.weight_KN.nbytes

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        destination[f"{prefix}weight"] = self.weight_KN.T.contiguous()
        if self.bias_N is not None:
            destination[f"{prefix}bias"] = self.bias_N

    def multiply(self, x_MK: Tensor) -> Tensor:
        y_MN = whole.multiply(x_MK[:, None], self.weight_KN[None])[:, 0]
        return y_MN if self.bias_N is None else y_MN + self.bias_N


def has_onednn() -> bool:
    """Not every build of torch has it: those for Macs do not."""
    return torch.backends.mkldnn.is_available()


def pack(rounded: Rounded, dtype: torch.dtype) -> PackedLinear:
    """For the best kernel that there is for it. `dtype` is that of what it will multiply."""
    if products.suits(rounded.shape, dtype):
        return NativeLinear.of(rounded)
    if isinstance(rounded, Rounded4) and Int4Linear.fits(rounded):
        return Int4Linear(rounded, dtype)
    if not isinstance(rounded, Rounded8):
        rounded = Rounded8.of(rounded.restored(), rounded.bias)
    # Without VNNI, sums of two products are clipped to 16 bits.
    if has_onednn() and torch.cpu._is_vnni_supported():
        return DynamicInt8Linear(rounded)
    return Int8Linear(rounded, dtype)


def pack_bfloat16_matrix(weight_NK: Tensor, bias_N: Tensor | None = None) -> PackedLinear:
    """For the better of the kernels there are for it, on a CPU with instructions for bfloat16."""
    num_outputs, num_inputs = weight_NK.shape
    if products.suits((num_outputs, num_inputs), torch.bfloat16):
        return NativeLinear.of_bfloat16(weight_NK, bias_N)
    return BFloat16Linear(weight_NK, bias_N)


def pack_kept(linear: nn.Linear) -> PackedLinear:
    """A layer that keeps its precision, so that a row does not depend on the others either.

    For a CPU that `native.library` is for.
    """
    if linear.weight.dtype is torch.bfloat16:
        return pack_bfloat16_matrix(linear.weight, linear.bias)
    return InvariantLinear(linear.weight, linear.bias)
