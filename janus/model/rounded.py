"""Matrices as few whole numbers and scales: what a file of a quantized model holds.

Enters: the matrices of a model. Leaves: modules in their place that keep the rounded numbers under
the checkpoint's names, until `quantized` packs them for the kernels of a CPU. They compute nothing.
"""

# K inputs, N outputs, G groups of a row of inputs

from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor, nn

GROUP = 64  # inputs that share an int4 scale: 4.5 bits a weight
PIECE = 4096  # outputs that are rounded at once: what that takes is many times the result


class Rounded(nn.Module):
    """Takes the place of an `nn.Linear`. `weight_scale` gives the whole numbers their meaning."""

    weight: Tensor
    weight_scale: Tensor
    bias: Tensor | None

    def __init__(self, weight: Tensor, weight_scale: Tensor, bias_N: Tensor | None = None) -> None:
        super().__init__()
        self.register_buffer("weight", weight)
        self.register_buffer("weight_scale", weight_scale)
        self.register_buffer("bias", None if bias_N is None else bias_N.detach())

    @classmethod
    def of(cls, weight_NK: Tensor, bias_N: Tensor | None = None) -> Self:
        """The nearest that these bits allow."""
        pieces = [cls._round(piece.float()) for piece in weight_NK.detach().split(PIECE)]
        weight, scale = (torch.cat(parts) for parts in zip(*pieces, strict=True))
        return cls(weight, cls._stored(scale, weight_NK.dtype), bias_N)

    @classmethod
    def join(cls, parts: Sequence[Self]) -> Self:
        """One matrix whose outputs are those of the given ones, in their order."""
        biases = [part.bias for part in parts if part.bias is not None]
        return cls(
            torch.cat([part.weight for part in parts]),
            torch.cat([part.weight_scale for part in parts]),
            torch.cat(biases) if biases else None,
        )

    @property
    def shape(self) -> tuple[int, int]:
        """Of the matrix: outputs and inputs."""
        raise NotImplementedError

    @property
    def num_weights(self) -> int:
        """As many as the matrix and its bias had."""
        num_outputs, num_inputs = self.shape
        return num_outputs * num_inputs + (0 if self.bias is None else len(self.bias))

    def restored(self) -> Tensor:
        """What the rounded numbers stand for: float32 [N, K]."""
        raise NotImplementedError

    @staticmethod
    def _round(weight_NK: Tensor) -> tuple[Tensor, Tensor]:
        raise NotImplementedError

    @staticmethod
    def _stored(scale: Tensor, dtype: torch.dtype) -> Tensor:
        raise NotImplementedError


class Rounded8(Rounded):
    """int8 [N, K], from -127 to 127, and float32 [N] to multiply each row with."""

    @property
    def shape(self) -> tuple[int, int]:
        num_outputs, num_inputs = self.weight.shape
        return num_outputs, num_inputs

    def restored(self) -> Tensor:
        return self.weight * self.weight_scale[:, None]

    @staticmethod
    def _round(weight_NK: Tensor) -> tuple[Tensor, Tensor]:
        scale_N = (weight_NK.abs().amax(dim=1) / 127).clamp(min=1e-12)
        return (weight_NK / scale_N[:, None]).round().to(torch.int8), scale_N

    @staticmethod
    def _stored(scale: Tensor, dtype: torch.dtype) -> Tensor:
        return scale


class Rounded4(Rounded):
    """Two of 0 to 15 in each uint8 [N, K / 2], the earlier input in the lower bits.

    The scale is [N, G, 2] in the type of the weights: what to multiply a group's numbers with once
    8 is taken away, and what to add then.
    """

    @staticmethod
    def fits(weight_NK: Tensor) -> bool:
        """Whether its rows consist of whole groups."""
        return weight_NK.shape[-1] % GROUP == 0

    @property
    def shape(self) -> tuple[int, int]:
        num_outputs, num_pairs = self.weight.shape
        return num_outputs, 2 * num_pairs

    def whole(self) -> Tensor:
        """The numbers from 0 to 15: uint8 [N, K]."""
        return torch.stack([self.weight & 15, self.weight >> 4], dim=-1).flatten(1)

    def restored(self) -> Tensor:
        scale_NG1, middle_NG1 = self.weight_scale.float().split(1, dim=-1)
        whole_NGk = self.whole().unflatten(1, (-1, GROUP))
        return ((whole_NGk - 8.0) * scale_NG1 + middle_NG1).flatten(1)

    @staticmethod
    def _round(weight_NK: Tensor) -> tuple[Tensor, Tensor]:
        weight_NGk = weight_NK.unflatten(1, (-1, GROUP))
        low_NG, high_NG = weight_NGk.amin(dim=-1), weight_NGk.amax(dim=-1)
        scale_NG = ((high_NG - low_NG) / 15).clamp(min=1e-8)
        whole_NGk = ((weight_NGk - low_NG[..., None]) / scale_NG[..., None]).round().clamp(0, 15)
        earlier, later = whole_NGk.flatten(1).to(torch.uint8).unflatten(1, (-1, 2)).unbind(-1)
        return earlier | later << 4, torch.stack([scale_NG, low_NG + 8 * scale_NG], dim=-1)

    @staticmethod
    def _stored(scale: Tensor, dtype: torch.dtype) -> Tensor:
        return scale.to(dtype)


def round_matrix(weight_NK: Tensor, bits: type[Rounded], bias_N: Tensor | None = None) -> Rounded:
    """To so many bits, or to eight where four do not fit."""
    if bits is Rounded4 and not Rounded4.fits(weight_NK):
        bits = Rounded8
    return bits.of(weight_NK, bias_N)
