"""Layers of the vision encoder whose weights lie as our own kernels for the CPU want them.

A layer of `vision.encoder` goes in, in bfloat16; out comes one that gives the same features, as
nearly as bfloat16 holds them, and saves the same weights under the same names. It cannot be
trained. Each product is rounded once, after its GELU or residual.
"""

# B pictures, N patches, K inputs, C outputs, D width

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from janus.model.linear import join
from janus.model.native import pictures
from vision.encoder import EncoderLayer, VisionEncoder


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

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        """Beside this module, where the layers were."""
        folder = prefix.removesuffix(".").rpartition(".")[0]
        weight_CK, sizes = pictures.unpack(self.packed), list(self.outputs.values())
        parts = zip(self.outputs, weight_CK.split(sizes), self.bias_C.split(sizes), strict=True)
        for name, weight, bias in parts:
            destination[f"{folder}.{name}.weight"] = weight
            destination[f"{folder}.{name}.bias"] = bias


class PackedEncoderLayer(nn.Module):
    """Takes the place of `EncoderLayer`: [B, N, D] -> [B, N, D]."""

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

    def forward(self, hidden_BND: Tensor) -> Tensor:
        hidden_BND, num_patches = hidden_BND.contiguous(), hidden_BND.shape[1]
        qkv, out, inner, outer = *self.self_attn.products(), *self.mlp.products()
        squares = _normalize(hidden_BND, self.layer_norm1)
        qkv_BNC = pictures.multiply(squares, *qkv, num_patches)
        squares = pictures.attend(qkv_BNC, self.num_heads)
        hidden_BND = pictures.multiply(squares, *out, num_patches, residual_BNC=hidden_BND)
        squares = _normalize(hidden_BND, self.layer_norm2)
        squares = pictures.multiply_gelu(squares, *inner, num_patches)
        return pictures.multiply(squares, *outer, num_patches, residual_BNC=hidden_BND)


class EncoderPart(nn.Module):
    """Attention or MLP, where the checkpoint has it: what goes in, and what comes out again."""

    def __init__(self, first: PackedProduct, last: PackedProduct) -> None:
        super().__init__()
        self.first, self.last = first, last

    def products(self) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        return (self.first.packed, self.first.bias_C), (self.last.packed, self.last.bias_C)


def suits(encoder: VisionEncoder) -> bool:
    """Whether the kernels are there, and take these weights."""
    config, weight = encoder.config, encoder.post_layernorm.weight
    is_bfloat16 = weight.device.type == "cpu" and weight.dtype is torch.bfloat16
    inner_width = int(config.hidden_size * config.mlp_ratio)
    head_width = config.hidden_size // config.num_attention_heads
    return is_bfloat16 and pictures.suits(config.hidden_size, inner_width, head_width)


def pack_vision(encoder: nn.Module) -> None:
    """Packs all layers of a `VisionEncoder` that `suits`, in place and one after the other."""
    layers = encoder.get_submodule("encoder.layers")
    assert isinstance(layers, nn.ModuleList)
    for i, layer in enumerate(layers):
        if isinstance(layer, EncoderLayer):
            layers[i] = PackedEncoderLayer(layer)


def pack_vision_when_it_sees(encoder: VisionEncoder) -> None:
    """Before its first picture, so that weights that are mapped stay in their file until then."""
    encoder.register_forward_pre_hook(lambda encoder, _: pack_vision(encoder))


def _product(module: nn.Module, *names: str) -> PackedProduct:
    return PackedProduct({name: getattr(module, name) for name in names})


def _normalize(x_BND: Tensor, norm: nn.LayerNorm) -> Tensor:
    return pictures.normalize(x_BND, norm.weight, norm.bias, norm.eps)
