"""Weights laid out once for the CPU kernels that read them fastest.

A loaded model goes in, the same model with packed layers comes out; it draws and answers, but
cannot be trained, nor saved once it is quantized. A drawing waits above all for the weights' bytes:
bfloat16 in oneDNN's order reads them at the speed of memory, int8 are half as many, int4 a quarter.

What takes part: the matrices of the transformer (attention, feed-forward, experts) and both heads.
Embeddings, norms, routers and latent attention's expansion stay as they are; so does the vision
encoder of a quantized model, whose memory is taken only once it sees something.
"""

# M rows, K inputs, N outputs, G groups of a row of inputs

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from janus.errors import UsageError
from janus.model.attention import Attention
from janus.model.model import JanusModel
from janus.model.moe import Experts, FeedForward

QUANTIZATIONS = ("int8", "int4")

KEPT = "kv_b_proj"  # latent attention multiplies with its parts
PIECE = 4096  # outputs that are packed at once: what that takes is many times the result
GROUP = 64  # inputs that share an int4 scale: 4.5 bits a weight


class PackedLinear(nn.Module):
    """Takes the place of `nn.Linear`: [..., K] -> [..., N]. `multiply` does it for [M, K]."""

    num_bytes: int  # read for each product, however few rows
    num_cheap_rows: int  # that together cost little more than one

    def __init__(self, weight_NK: Tensor, bias_N: Tensor | None = None) -> None:
        super().__init__()
        self.out_features, self.in_features = weight_NK.shape
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
    """The same numbers in oneDNN's order."""

    num_cheap_rows = 16  # a quarter more than one

    def __init__(self, weight_NK: Tensor, bias_N: Tensor | None = None) -> None:
        super().__init__(weight_NK, None if bias_N is None else bias_N.bfloat16())
        self.packed = torch.ops.mkldnn._reorder_linear_weight(weight_NK.detach().bfloat16(), 16)
        self.num_bytes = 2 * weight_NK.numel()

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        destination[f"{prefix}weight"] = self.packed.to_dense()
        if self.bias_N is not None:
            destination[f"{prefix}bias"] = self.bias_N

    def multiply(self, x_MK: Tensor) -> Tensor:
        linear = torch.ops.mkldnn._linear_pointwise
        return linear(x_MK.bfloat16(), self.packed, self.bias_N, "none", [], "").to(x_MK.dtype)


class Int8Linear(PackedLinear):
    """Eight bits a weight, one scale an output, symmetric. Inputs keep their precision."""

    num_cheap_rows = 4  # a quarter more than one; eight take twice as long

    def __init__(self, weight_NK: Tensor, bias_N: Tensor | None = None) -> None:
        super().__init__(weight_NK, bias_N)
        self.quantized_NK, self.scale_N = _symmetric(weight_NK)
        self.scale_N = self.scale_N.to(weight_NK.dtype)
        self.num_bytes = weight_NK.numel() + 2 * len(weight_NK)

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

    def __init__(self, weight_NK: Tensor, bias_N: Tensor | None = None) -> None:
        super().__init__(weight_NK, bias_N)
        quantized_NK, scale_N = _symmetric(weight_NK)
        self.packed = torch.ops.onednn.qlinear_prepack(quantized_NK, [16, self.in_features])
        self.scale_N, self.zero_N = scale_N / 127, torch.zeros(len(scale_N), dtype=torch.int32)
        self.middle = torch.tensor(128.5)  # and a half: the conversion to whole numbers rounds down
        self.num_bytes = weight_NK.numel() + 8 * len(weight_NK)

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
    """Four bits a weight; each group of inputs has a scale and a middle of its own."""

    num_cheap_rows = 4  # two fifths more than one; eight take nearly three times as long

    def __init__(self, weight_NK: Tensor, bias_N: Tensor | None = None) -> None:
        super().__init__(weight_NK, bias_N)
        pieces = [self._pack(piece.float()) for piece in weight_NK.detach().split(PIECE)]
        packed, scales_GN2 = zip(*pieces, strict=True)
        self.packed, self.scales_GN2 = torch.cat(packed), torch.cat(scales_GN2, dim=1)
        self.scales_GN2 = self.scales_GN2.to(weight_NK.dtype)
        self.num_bytes = weight_NK.numel() // 2 + 2 * self.scales_GN2.numel()

    @staticmethod
    def _pack(weight_NK: Tensor) -> tuple[Tensor, Tensor]:
        """Weights in the kernel's order, and what it needs to restore them: [G, N, 2]."""
        weight_NGk = weight_NK.unflatten(1, (-1, GROUP))
        low_NG, high_NG = weight_NGk.amin(dim=-1), weight_NGk.amax(dim=-1)
        scale_NG = ((high_NG - low_NG) / 15).clamp(min=1e-8)
        whole_NGk = ((weight_NGk - low_NG[..., None]) / scale_NG[..., None]).round().clamp(0, 15)
        packed = torch.ops.aten._convert_weight_to_int4pack_for_cpu(whole_NGk.flatten(1).int(), 1)
        # The kernel takes a weight as (whole - 8) * scale + middle.
        scales_NG2 = torch.stack([scale_NG, low_NG + 8 * scale_NG], dim=-1)
        return packed, scales_NG2.transpose(0, 1)

    @staticmethod
    def fits(weight_NK: Tensor) -> bool:
        """Whether the kernel can do it."""
        return weight_NK.shape[0] % 16 == 0 and weight_NK.shape[1] % GROUP == 0

    def multiply(self, x_MK: Tensor) -> Tensor:
        y_MN = torch.ops.aten._weight_int4pack_mm_for_cpu(
            x_MK.contiguous(), self.packed, GROUP, self.scales_GN2
        )
        return y_MN if self.bias_N is None else y_MN + self.bias_N


class PackedExperts(nn.Module):
    """Routed experts of packed layers, run one after the other on the tokens that chose them."""

    def __init__(self, experts: Experts, pack_one: Callable[[Tensor], PackedLinear]) -> None:
        super().__init__()
        self.gate_up = nn.ModuleList(map(pack_one, experts.gate_up_proj))
        self.down = nn.ModuleList(map(pack_one, experts.down_proj))

    def forward(self, hidden_ND: Tensor, gates_NK: Tensor, chosen_NK: Tensor) -> Tensor:
        out_ND = torch.zeros_like(hidden_ND)
        for expert in chosen_NK.unique().tolist():
            token_P, place_P = (chosen_NK == expert).nonzero(as_tuple=True)
            gate_PI, up_PI = self.gate_up[expert](hidden_ND[token_P]).chunk(2, dim=-1)
            out_PD = self.down[expert](nn.functional.silu(gate_PI) * up_PI)
            gates_P1 = gates_NK[token_P, place_P, None].to(out_PD.dtype)
            out_ND.index_add_(0, token_P, out_PD * gates_P1)
        return out_ND


def check_quantization(kind: str, device: torch.device) -> None:
    """Raises `UsageError` for an unknown kind, or a device that has no kernels for it."""
    if kind not in QUANTIZATIONS:
        raise UsageError(f"quantize is {kind!r}.", f"Use {' or '.join(QUANTIZATIONS)}.")
    if device.type != "cpu":
        raise UsageError(
            f"Quantized weights are for the CPU, but the model is on {device}.",
            "Use --device cpu, or leave --quantize out.",
        )


def pack_quantized(
    model: JanusModel, kind: str, prepare: Callable[[str], None] = lambda part: None
) -> JanusModel:
    """Packs a model on the CPU in place with fewer bits, one of `packed_parts` after the other.

    `prepare` is called with each part's name before: weights that it makes never exist all at once.
    Raises `UsageError` as `check_quantization` does.
    """
    check_quantization(kind, model.device)
    pack_one = _pack_int8 if kind == "int8" else _pack_int4
    for name in packed_parts(model):
        prepare(name)
        for path, module in _modules(model, name):
            if isinstance(module, (Attention, FeedForward)):
                module.fuse()
            elif isinstance(module, Experts):
                model.set_submodule(path, PackedExperts(module, pack_one))
        _pack_linears(model, name, pack_one)
    model.quantization = kind
    return model


def pack_bfloat16(model: JanusModel) -> JanusModel:
    """Packs a bfloat16 model in place where the CPU has instructions for it; changes no number."""
    is_candidate = model.dtype is torch.bfloat16 and model.device.type == "cpu"
    if is_candidate and _has_onednn() and torch.ops.mkldnn._is_mkldnn_bf16_supported():
        for name in [*packed_parts(model), "vision_model.encoder"]:
            _pack_linears(model, name, BFloat16Linear)
    return model


def pack_convolutions(model: JanusModel) -> JanusModel:
    """Lays the VQ decoder of a model on the CPU out channels last, in place; changes no number.

    One picture of Janus-Pro-1B is decoded in two thirds of the time, in float32 in four fifths.
    """
    if model.device.type == "cpu":
        model.vqmodel.decoder.to(memory_format=torch.channels_last)
    return model


def packed_parts(model: JanusModel) -> list[str]:
    """Names of what is packed: the layers of the transformer, and both heads."""
    layers = range(len(model.language_model.layers))
    # The largest first, when there is the most room to do it.
    return ["lm_head", "generation_head", *(f"language_model.layers.{i}" for i in layers)]


def _modules(model: JanusModel, name: str) -> list[tuple[str, nn.Module]]:
    """A part and all modules in it, by their names in the model."""
    return list(model.get_submodule(name).named_modules(prefix=name))


def _pack_linears(model: JanusModel, name: str, pack_one: Callable[..., PackedLinear]) -> None:
    for path, linear in _modules(model, name):
        if isinstance(linear, nn.Linear) and not path.endswith(KEPT):
            model.set_submodule(path, pack_one(linear.weight, linear.bias))


def _has_onednn() -> bool:
    """Not every build of torch has it: those for Macs do not."""
    return torch.backends.mkldnn.is_available()


def _pack_int8(weight_NK: Tensor, bias_N: Tensor | None = None) -> PackedLinear:
    # Without VNNI, sums of two products are clipped to 16 bits.
    if _has_onednn() and torch.cpu._is_vnni_supported():
        return DynamicInt8Linear(weight_NK, bias_N)
    return Int8Linear(weight_NK, bias_N)


def _pack_int4(weight_NK: Tensor, bias_N: Tensor | None = None) -> PackedLinear:
    pack_one = Int4Linear if Int4Linear.fits(weight_NK) else _pack_int8
    return pack_one(weight_NK, bias_N)


def _symmetric(weight_NK: Tensor) -> tuple[Tensor, Tensor]:
    """Whole numbers from -127 to 127, and what to multiply each row of them with."""
    weight_NK = weight_NK.detach()
    scale_N = (weight_NK.abs().amax(dim=1).float() / 127).clamp(min=1e-12)
    pieces = zip(weight_NK.split(PIECE), scale_N.split(PIECE), strict=True)
    whole = [(weight / scale[:, None]).round().to(torch.int8) for weight, scale in pieces]
    return torch.cat(whole), scale_N
