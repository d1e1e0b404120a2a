"""Layers of the vision encoder whose weights lie as our own kernels for the CPU want them.

`vision.encoder` in bfloat16 goes in; what comes out gives the same features, as nearly as bfloat16
holds them, and saves the same weights under the same names. It cannot be trained. All layers are
one call; each product is rounded once, after its GELU or residual.
"""

# B pictures, N patches, K inputs, C outputs, D width

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from janus.model.linear import join
from janus.model.native import pictures
from janus.model.native.pictures import SIDE, Kind, Step, Steps
from vision.encoder import EncoderLayer, EncoderLayers, VisionEncoder

HIDDEN, NARROW, WIDE = range(3)  # the buffers of a `Step`: of width D, D and more


class PackedProduct(nn.Module):
    """The weights of one linear layer or of several with the same inputs, by their names."""

    def __init__(self, layers: Mapping[str, nn.Linear]) -> None:
        super().__init__()
        self.outputs = {name: layer.out_features for name, layer in layers.items()}
        joined = join(*layers.values())
        self.packed = pictures.pack(joined.weight)
        self.bias_C = joined.bias.detach()

    @property
    def num_weights(self) -> int:
        return self.packed.numel() + self.bias_C.numel()

    def step(self, kind: Kind, source: int, target: int) -> Step:
        inputs, outputs = self.packed.shape[1] * SIDE, len(self.bias_C)
        return Step(kind, source, target, inputs, outputs, self.packed, self.bias_C)

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        """Beside this module, where the layers were."""
        folder = prefix.removesuffix(".").rpartition(".")[0]
        weight_CK, sizes = pictures.unpack(self.packed), list(self.outputs.values())
        parts = zip(self.outputs, weight_CK.split(sizes), self.bias_C.split(sizes), strict=True)
        for name, weight, bias in parts:
            destination[f"{folder}.{name}.weight"] = weight
            destination[f"{folder}.{name}.bias"] = bias


class PackedLayer(nn.Module):
    """The weights of one `EncoderLayer`, under its names."""

    def __init__(self, layer: EncoderLayer) -> None:
        super().__init__()
        attention, mlp = layer.self_attn, layer.mlp
        self.num_heads = attention.num_heads
        self.layer_norm1, self.layer_norm2 = layer.layer_norm1, layer.layer_norm2
        self.self_attn = EncoderPart(
            _product(attention, "q_proj", "k_proj", "v_proj"),
            _product(attention, "projection_layer"),
        )
        self.mlp = EncoderPart(_product(mlp, "fc1"), _product(mlp, "fc2"))

    def steps(self) -> list[Step]:
        """One after the other."""
        attention, mlp, width = self.self_attn, self.mlp, len(self.self_attn.last.bias_C)
        return [
            _norm(self.layer_norm1),
            attention.first.step(Kind.PRODUCT, NARROW, WIDE),
            Step(Kind.ATTENTION, WIDE, NARROW, 3 * width, width, heads=self.num_heads),
            attention.last.step(Kind.SUM, NARROW, HIDDEN),
            _norm(self.layer_norm2),
            mlp.first.step(Kind.GELU, NARROW, WIDE),
            mlp.last.step(Kind.SUM, WIDE, HIDDEN),
        ]


class EncoderPart(nn.Module):
    """Attention or MLP, where the checkpoint has it: what goes in, and what comes out again."""

    def __init__(self, first: PackedProduct, last: PackedProduct) -> None:
        super().__init__()
        self.first, self.last = first, last


class PackedLayers(nn.Module):
    """Takes the place of `EncoderLayers`: all in one call, [B, N, D] -> [B, N, D].

    The layers are packed in place, one after the other: both kinds are never there all at once.
    """

    def __init__(self, layers: EncoderLayers) -> None:
        super().__init__()
        self.layers, steps = layers.layers, []
        for i, layer in enumerate(self.layers):
            assert isinstance(layer, EncoderLayer)
            self.layers[i] = packed = PackedLayer(layer)
            steps += packed.steps()
        self._steps = Steps(steps)

    def forward(self, hidden_BND: Tensor) -> Tensor:
        return self._steps.run(hidden_BND)


def suits(encoder: VisionEncoder) -> bool:
    """Whether the kernels are there, and take these weights."""
    config, weight = encoder.config, encoder.post_layernorm.weight
    is_bfloat16 = weight.device.type == "cpu" and weight.dtype is torch.bfloat16
    inner_width = int(config.hidden_size * config.mlp_ratio)
    head_width = config.hidden_size // config.num_attention_heads
    return is_bfloat16 and pictures.suits(config.hidden_size, inner_width, head_width)


def pack_vision(encoder: VisionEncoder) -> None:
    """Packs all layers of an encoder that `suits`, in place."""
    if isinstance(encoder.encoder, EncoderLayers):
        encoder.encoder = PackedLayers(encoder.encoder)


def pack_vision_when_it_sees(encoder: VisionEncoder) -> None:
    """Before its first picture, so that weights that are mapped stay in their file until then."""
    encoder.register_forward_pre_hook(lambda *_: pack_vision(encoder))


def _product(module: nn.Module, *names: str) -> PackedProduct:
    return PackedProduct({name: getattr(module, name) for name in names})


def _norm(norm: nn.LayerNorm) -> Step:
    (width,) = norm.normalized_shape
    weight_D, bias_D = norm.weight.detach(), norm.bias.detach()
    return Step(Kind.NORM, HIDDEN, NARROW, width, width, weight_D, bias_D, epsilon=norm.eps)
