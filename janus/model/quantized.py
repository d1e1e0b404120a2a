"""Weights laid out once for the CPU kernels that read them fastest.

A loaded model goes in, the same model with packed layers comes out; it draws and answers, but
cannot be trained, nor saved once it is quantized. A drawing waits above all for the weights' bytes:
bfloat16 in oneDNN's order reads them at the speed of memory, int8 are half as many, int4 a quarter.

What takes part: the matrices of the transformer (attention, feed-forward, experts) and both heads.
Embeddings, norms, routers and latent attention's expansion stay as they are; so does the vision
encoder of a quantized model, which is packed in bfloat16 only once it sees something. What codes
pass on their way in keeps sixteen bits.
"""

# K inputs, N outputs, E experts

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from types import MappingProxyType
from typing import Any, Self

import torch
from torch import Tensor, nn

from janus.errors import UsageError
from janus.model import packed_vision
from janus.model.attention import Attention
from janus.model.latent_attention import LatentAttention
from janus.model.memory import give_back_memory
from janus.model.model import JanusModel
from janus.model.moe import Experts, FeedForward, Router, gated
from janus.model.native.build import library
from janus.model.packed import (
    NativeLinear,
    PackedLinear,
    has_onednn,
    pack,
    pack_bfloat16_matrix,
    pack_kept,
)
from janus.model.packed_layers import PackedLayers
from janus.model.rounded import Rounded, Rounded4, Rounded8, round_matrix

QUANTIZATIONS: Mapping[str, type[Rounded]] = MappingProxyType({"int8": Rounded8, "int4": Rounded4})

KEPT = "kv_b_proj"  # latent attention multiplies with its parts
CODES_IN = "generation_aligner"  # its weights are read in each step too


class RoundedExperts(nn.Module):
    """Takes the place of `Experts`: both stacks of E matrices rounded, with their scales."""

    def __init__(self, experts: Experts, bits: type[Rounded]) -> None:
        super().__init__()
        self.bits: dict[str, type[Rounded]] = {}
        for name, stack_ENK in experts.named_parameters():
            rounded = round_matrix(stack_ENK.flatten(0, 1), bits)
            self.bits[name] = type(rounded)
            for part, tensor in zip(self._parts(name), rounded.parts, strict=True):
                self.register_buffer(part, tensor.unflatten(0, (len(stack_ENK), -1)))

    @property
    def num_weights(self) -> int:
        parts = chain.from_iterable(map(self.matrices, self.bits))
        return sum(part.num_weights for part in parts)

    def matrices(self, name: str) -> Iterator[Rounded]:
        """Those of one stack, "gate_up_proj" or "down_proj", expert by expert."""
        return map(self.bits[name], *map(self.get_buffer, self._parts(name)))

    def _parts(self, name: str) -> list[str]:
        """As those of one matrix, but for the stack's name."""
        return [part.replace("weight", name, 1) for part in self.bits[name].PARTS]


class PackedExperts(nn.Module):
    """Routed experts of packed layers, each for the tokens that chose it.

    A token's numbers do not depend on the other tokens, to the bit.
    """

    def __init__(self, gate_up: Iterable[PackedLinear], down: Iterable[PackedLinear]) -> None:
        super().__init__()
        self.gate_up_proj, self.down_proj = nn.ModuleList(gate_up), nn.ModuleList(down)
        self.register_state_dict_post_hook(_stack)

    @classmethod
    def of(cls, experts: Experts) -> Self:
        """Their numbers in bfloat16."""
        stacks = experts.gate_up_proj, experts.down_proj
        return cls(*(map(pack_bfloat16_matrix, stack_ENK) for stack_ENK in stacks))

    @classmethod
    def of_rounded(cls, experts: RoundedExperts, dtype: torch.dtype) -> Self:
        names = "gate_up_proj", "down_proj"
        return cls(*((pack(x, dtype) for x in experts.matrices(name)) for name in names))

    def forward(self, hidden_ND: Tensor, gates_NK: Tensor, chosen_NK: Tensor) -> Tensor:
        """As `Experts.grouped` does it."""
        expert_P, order_P = chosen_NK.flatten().sort(stable=True)
        token_P = order_P // chosen_NK.shape[1]
        counts = expert_P.bincount(minlength=len(self.down_proj)).tolist()
        inner_PI = gated(_multiply_each(self.gate_up_proj, hidden_ND[token_P], counts))
        out_PD = _multiply_each(self.down_proj, inner_PI, counts)
        out_PD = out_PD * gates_NK.flatten()[order_P, None].to(out_PD.dtype)
        return torch.zeros_like(hidden_ND).index_add_(0, token_P, out_PD)


def _multiply_each(layers: nn.ModuleList, x_PK: Tensor, counts: list[int]) -> Tensor:
    """So many rows with each layer."""
    native = [layer for layer in layers if isinstance(layer, NativeLinear)]
    if len(native) == len(layers):
        return NativeLinear.multiply_each(native, x_PK, counts)
    pieces = zip(layers, x_PK.split(counts), strict=True)
    return torch.cat([layer(piece) for layer, piece in pieces if len(piece)])


def _stack(module: nn.Module, state: dict[str, Tensor], prefix: str, metadata: Any) -> None:
    """Saves the experts' matrices as checkpoints have them: in two stacks, if in any."""
    for stack in ("gate_up_proj", "down_proj"):
        number = len(list(module.get_submodule(stack).children()))
        names = [f"{prefix}{stack}.{i}.weight" for i in range(number)]
        if names[0] in state:
            state[f"{prefix}{stack}"] = torch.stack([state.pop(name) for name in names])


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
    for name in packed_parts(model):
        prepare(name)
        round_part(model, name, kind)
        _pack_part(model, name)
        give_back_memory()  # rounding leaves many times the result behind
    if packed_vision.suits(model.vision_model):
        packed_vision.pack_vision_when_it_sees(model.vision_model)
    model.quantization = kind
    if _multiplies_bfloat16(model):
        _pack_bfloat16_part(model, CODES_IN)
    _pack_kept(model)
    model.language_model.at_once = PackedLayers.of(model.language_model)
    return model


def round_part(model: JanusModel, name: str, kind: str) -> None:
    """Rounds the matrices of one of the `packed_parts` in place; those that are stay as they are.

    On the meta device, it takes the shapes that a file of a quantized model has.
    """
    for path, module in _modules(model, name):
        if isinstance(module, Experts):
            model.set_submodule(path, RoundedExperts(module, QUANTIZATIONS[kind]))
        elif isinstance(module, nn.Linear) and not path.endswith(KEPT):
            rounded = round_matrix(module.weight, QUANTIZATIONS[kind], module.bias)
            model.set_submodule(path, rounded)


def pack_bfloat16(model: JanusModel) -> JanusModel:
    """Packs a bfloat16 model in place where the CPU has instructions for it; changes no number."""
    if _multiplies_bfloat16(model):
        if packed_vision.suits(model.vision_model):
            packed_vision.pack_vision(model.vision_model)
        for name in [*packed_parts(model), CODES_IN, "vision_model.encoder", "aligner"]:
            _fuse_part(model, name)
            _pack_bfloat16_part(model, name)
            give_back_memory()
        _pack_kept(model)
        model.language_model.at_once = PackedLayers.of(model.language_model)
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


def _multiplies_bfloat16(model: JanusModel) -> bool:
    is_candidate = model.dtype is torch.bfloat16 and model.device.type == "cpu"
    return is_candidate and has_onednn() and torch.ops.mkldnn._is_mkldnn_bf16_supported()


def _pack_bfloat16_part(model: JanusModel, name: str) -> None:
    for path, module in _modules(model, name):
        if isinstance(module, Experts):
            model.set_submodule(path, PackedExperts.of(module))
        elif isinstance(module, nn.Linear) and not path.endswith(KEPT):
            model.set_submodule(path, pack_bfloat16_matrix(module.weight, module.bias))


def _pack_kept(model: JanusModel) -> None:
    """What is not rounded, so that no row depends on the others there either."""
    if library() is None:
        return
    for path, linear in _modules(model, CODES_IN):
        if isinstance(linear, nn.Linear):
            model.set_submodule(path, pack_kept(linear))
    for module in model.language_model.modules():
        if isinstance(module, (LatentAttention, Router)):
            module.pack()


def _fuse_part(model: JanusModel, name: str) -> None:
    for _, module in _modules(model, name):
        if isinstance(module, (Attention, FeedForward)):
            module.fuse()


def _pack_part(model: JanusModel, name: str) -> None:
    _fuse_part(model, name)
    for path, module in _modules(model, name):
        if isinstance(module, RoundedExperts):
            model.set_submodule(path, PackedExperts.of_rounded(module, model.dtype))
        elif isinstance(module, Rounded):
            model.set_submodule(path, pack(module, model.dtype))
