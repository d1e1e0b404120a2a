"""Matrices as few whole numbers and scales: what a file of a quantized model holds.

Enters: the matrices of a model. Leaves: modules in their place that keep the rounded numbers under
the checkpoint's names, until `quantized` packs them for the kernels of a CPU. They compute nothing.
"""

# K inputs, N outputs, G groups and S spans of a row of inputs

from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor, nn

GROUP = 64  # inputs whose int4 weights share their sixteen levels
SPAN = 512  # inputs whose int4 weights share a scale; with the levels' 16 bits: 4.3 bits a weight
REACH = 0.95  # of a group's range that its levels cover, by measurement: squared errors are least
PIECE = 512  # outputs that are rounded at once, in the L2 cache: that takes many times the result


class Rounded(nn.Module):
    """Takes the place of an `nn.Linear`: the tensors that `PARTS` names, by outputs."""

    PARTS: tuple[str, ...] = ("weight", "weight_scale")
    weight: Tensor
    weight_scale: Tensor
    bias: Tensor | None

    def __init__(self, *parts: Tensor, bias_N: Tensor | None = None) -> None:
        super().__init__()
        for name, part in zip(self.PARTS, parts, strict=True):
            self.register_buffer(name, part)
        self.register_buffer("bias", None if bias_N is None else bias_N.detach())

    @classmethod
    def of(cls, weight_NK: Tensor, bias_N: Tensor | None = None) -> Self:
        """The nearest that these bits allow; on the meta device, the shapes of that."""
        if weight_NK.is_meta:  # where torch imports seconds' worth of Python to compute with it
            return cls(*cls._shaped(*weight_NK.shape), bias_N=bias_N)
        pieces = [cls._round(piece.float()) for piece in weight_NK.detach().split(PIECE)]
        return cls(*map(torch.cat, zip(*pieces, strict=True)), bias_N=bias_N)

    @classmethod
    def join(cls, matrices: Sequence[Self]) -> Self:
        """One matrix whose outputs are those of the given ones, in their order."""
        parts = zip(*(matrix.parts for matrix in matrices), strict=True)
        biases = [matrix.bias for matrix in matrices if matrix.bias is not None]
        return cls(*map(torch.cat, parts), bias_N=torch.cat(biases) if biases else None)

    @property
    def parts(self) -> list[Tensor]:
        return [self.get_buffer(name) for name in self.PARTS]

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
    def _round(weight_NK: Tensor) -> tuple[Tensor, ...]:
        raise NotImplementedError

    @staticmethod
    def _shaped(num_outputs: int, num_inputs: int) -> tuple[Tensor, ...]:
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
    def _round(weight_NK: Tensor) -> tuple[Tensor, ...]:
        scale_N = (weight_NK.abs().amax(dim=1) / 127).clamp(min=1e-12)
        return (weight_NK / scale_N[:, None]).round().to(torch.int8), scale_N

    @staticmethod
    def _shaped(num_outputs: int, num_inputs: int) -> tuple[Tensor, ...]:
        weight_NK = torch.empty(num_outputs, num_inputs, dtype=torch.int8, device="meta")
        return weight_NK, torch.empty(num_outputs, device="meta")


class Rounded4(Rounded):
    """Sixteen of the 256 numbers that eight bits hold, equally far apart, for each group of inputs.

    So sums of products stay whole numbers over many groups, as with the progressive quantization of
    QServe (Lin et al. 2024, arXiv:2405.04532), but for spans of a row. `weight` has two of 0 to 15
    in each uint8 [N, K / 2], the earlier input in the lower bits. `weight_levels`, int8 [N, G, 2],
    are the spacing of a group's levels, from 1 to 17, and the lowest; `weight_scale`, float32
    [N, S], is what to multiply them with.
    """

    PARTS = ("weight", "weight_scale", "weight_levels")
    weight_levels: Tensor

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

    def scales_and_middles(self) -> Tensor:
        """What to multiply a group's 0 to 15 with once 8 is taken away, and to add: [N, G, 2]."""
        spacing_NG, lowest_NG = self.weight_levels.float().unbind(-1)
        scale_NG = _for_groups(self.weight_scale, spacing_NG.shape[1])
        return torch.stack([spacing_NG, lowest_NG + 8 * spacing_NG], dim=-1) * scale_NG[..., None]

    def restored(self) -> Tensor:
        scale_NG1, middle_NG1 = self.scales_and_middles().split(1, dim=-1)
        whole_NGk = self.whole().unflatten(1, (-1, GROUP))
        return ((whole_NGk - 8.0) * scale_NG1 + middle_NG1).flatten(1)

    @staticmethod
    def _round(weight_NK: Tensor) -> tuple[Tensor, ...]:
        weight_NGk = weight_NK.unflatten(1, (-1, GROUP))
        low_NG, high_NG = weight_NGk.aminmax(dim=-1)
        largest_NG = torch.maximum(-low_NG, high_NG)
        spans = [span_NG.amax(dim=1) for span_NG in largest_NG.split(SPAN // GROUP, dim=1)]
        scale_NS = (torch.stack(spans, dim=1) / 127).clamp(min=1e-12)
        scale_NG = _for_groups(scale_NS, weight_NGk.shape[1])
        low_NG, high_NG = low_NG / scale_NG, high_NG / scale_NG
        spacing_NG = (REACH * (high_NG - low_NG) / 15).round().clamp(1, 17)
        lowest_NG = ((low_NG + high_NG - 15 * spacing_NG) / 2).round().clamp(min=-128)
        lowest_NG = torch.minimum(lowest_NG, 127 - 15 * spacing_NG)
        whole_NGk = weight_NGk / (scale_NG * spacing_NG)[..., None]
        whole_NGk = (whole_NGk - (lowest_NG / spacing_NG)[..., None]).round().clamp(0, 15)
        earlier, later = whole_NGk.flatten(1).to(torch.uint8).unflatten(1, (-1, 2)).unbind(-1)
        levels_NG2 = torch.stack([spacing_NG, lowest_NG], dim=-1).to(torch.int8)
        return earlier | later << 4, scale_NS, levels_NG2

    @staticmethod
    def _shaped(num_outputs: int, num_inputs: int) -> tuple[Tensor, ...]:
        num_groups, num_spans = num_inputs // GROUP, -(-num_inputs // SPAN)
        return (
            torch.empty(num_outputs, num_inputs // 2, dtype=torch.uint8, device="meta"),
            torch.empty(num_outputs, num_spans, device="meta"),
            torch.empty(num_outputs, num_groups, 2, dtype=torch.int8, device="meta"),
        )


def _for_groups(scale_NS: Tensor, num_groups: int) -> Tensor:
    """That of its span for each group: [N, G]."""
    return scale_NS.repeat_interleave(SPAN // GROUP, dim=1)[:, :num_groups]


def round_matrix(weight_NK: Tensor, bits: type[Rounded], bias_N: Tensor | None = None) -> Rounded:
    """To so many bits, or to eight where four do not fit."""
    if bits is Rounded4 and not Rounded4.fits(weight_NK):
        bits = Rounded8
    return bits.of(weight_NK, bias_N)
