"""A packed transformer's layers at once: a step of few tokens is one call of our own kernels.

Goes where all layers are plain (multi-head attention and dense feed-forward) and every matrix is
packed for those kernels. What it is not made for, `Transformer` runs layer by layer.
"""

# N new tokens of all rows, D width

import torch
from torch import Tensor

from janus.model.attention import Attention
from janus.model.cache import Cache, Rows
from janus.model.moe import FeedForward
from janus.model.native import attention as attention_kernel
from janus.model.native.step import Layer, Layers
from janus.model.packed import NativeLinear
from janus.model.rotary import Rotation
from janus.model.transformer import Block, Transformer


class PackedLayers:
    def __init__(self, layers: Layers) -> None:
        self.layers = layers

    @classmethod
    def of(cls, transformer: Transformer) -> "PackedLayers | None":
        """None where a layer is not as the kernels want it."""
        config = transformer.config
        layers = [_layer(block) for block in transformer.layers if isinstance(block, Block)]
        complete = [layer for layer in layers if layer is not None]
        num_rotated = int(config.head_dim * config.partial_rotary_factor)
        is_suitable = attention_kernel.suits(1, 1, config.head_dim, config.head_dim)
        if len(complete) < len(layers) or num_rotated < config.head_dim or not is_suitable:
            return None
        return cls(
            Layers(
                complete,
                heads=config.num_attention_heads,
                key_heads=config.num_key_value_heads,
                head_width=config.head_dim,
                inner=config.intermediate_size,
                epsilon=config.rms_norm_eps,
            )
        )

    def __call__(
        self, hidden_ND: Tensor, turn: Rotation, rows: Rows, cache: Cache
    ) -> Tensor | None:
        """Hidden states before the last norm, [N, D]; None for rows that other kernels do better.

        These are those that bring many tokens.
        """
        few = attention_kernel.MOST_NEW
        is_long = any(block.is_causal or block.count > few for block in rows.blocks)
        if is_long or torch.is_grad_enabled() or hidden_ND.dtype is not torch.bfloat16:
            return None
        for layer in cache.layers:
            layer.reserve(rows)
        slots = [slot for slot, n in zip(rows.slots, rows.counts, strict=True) for _ in range(n)]
        return self.layers.run(
            hidden_ND,
            turn.cos_N1e,
            turn.sin_N1e,
            torch.tensor(slots),
            rows.positions_N,
            [(layer.tensors[0], layer.tensors[1]) for layer in cache.layers],
        )


def _layer(block: Block) -> Layer | None:
    attention, feed_forward = block.self_attn, block.mlp
    if not (isinstance(attention, Attention) and isinstance(feed_forward, FeedForward)):
        return None
    if attention.use_qk_norm:
        return None
    matrices = [
        linear.matrix
        for linear in (
            attention.qkv_proj,
            attention.o_proj,
            feed_forward.gate_up_proj,
            feed_forward.down_proj,
        )
        if isinstance(linear, NativeLinear) and linear.bias_N is None
    ]
    if len(matrices) < 4:
        return None
    norms = block.input_layernorm.weight, block.post_attention_layernorm.weight
    return Layer(*norms, *matrices)
