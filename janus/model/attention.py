"""Multi-head attention with grouped keys and rotary positions, as Llama has it.

New tokens [N, D] in, [N, D] out. With a cache, rows of equally many new tokens attend in one batch;
without, all rows are complete and equally long. Latent attention, in its own file, shares `attend`,
the one place where an attention kernel is called.
"""

# N new tokens of all rows, D width, H heads, K key heads, d width of a head,
# R rows, T new tokens of a row, L positions attended to

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from janus.config import TransformerConfig
from janus.model.cache import LayerCache, Rows
from janus.model.linear import join
from janus.model.rotary import Rotation

# New tokens of a row up to which a CPU attends in float32, converting keys and values on the way:
# the bfloat16 kernel takes 74 ms instead of 7 for one query (24 layers of Janus-Pro-1B, two rows,
# position 300, two cores), 13.8 instead of 12.7 for four, and 16.4 instead of 15.2 for eight.
FEW_QUERIES = 8


class Attention(nn.Module):
    """Grouped-query attention; as many key heads as heads is ordinary multi-head attention."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        width, d = config.hidden_size, config.head_dim
        self.num_heads, self.num_kv_heads = config.num_attention_heads, config.num_key_value_heads
        self.head_dim = d
        self.q_proj = nn.Linear(width, self.num_heads * d, bias=config.attention_bias)
        self.k_proj = nn.Linear(width, self.num_kv_heads * d, bias=config.attention_bias)
        self.v_proj = nn.Linear(width, self.num_kv_heads * d, bias=config.attention_bias)
        self.o_proj = nn.Linear(self.num_heads * d, width, bias=config.output_bias)
        if config.use_qk_norm:
            self.q_norm = nn.RMSNorm(d, eps=config.rms_norm_eps)
            self.k_norm = nn.RMSNorm(d, eps=config.rms_norm_eps)
        self.use_qk_norm = config.use_qk_norm
        self.qkv_proj: nn.Linear | None = None  # instead of the three, once fused

    def fuse(self) -> None:
        """Makes one product of three; the names of the weights are then no checkpoint's."""
        self.qkv_proj = join(self.q_proj, self.k_proj, self.v_proj)
        del self.q_proj, self.k_proj, self.v_proj

    def forward(
        self, hidden_ND: Tensor, rotation: Rotation, rows: Rows, cache: LayerCache | None
    ) -> Tensor:
        q_NHd, k_NKd, v_NKd = self._project(hidden_ND)
        if self.use_qk_norm:
            q_NHd, k_NKd = self.q_norm(q_NHd), self.k_norm(k_NKd)
        q_NHd, k_NKd = rotation.halves(q_NHd), rotation.halves(k_NKd)
        if cache is None:
            out_NHd = attend_complete(q_NHd, k_NKd, v_NKd, rows)
        else:
            cache.write(rows, k_NKd, v_NKd)
            out_NHd = self._attend_cached(q_NHd, rows, cache)
        return self.o_proj(out_NHd.flatten(-2))

    def _project(self, hidden_ND: Tensor) -> tuple[Tensor, ...]:
        """Queries [N, H, d], keys and values [N, K, d]."""
        if self.qkv_proj is None:
            parts = (self.q_proj(hidden_ND), self.k_proj(hidden_ND), self.v_proj(hidden_ND))
            return tuple(part.unflatten(-1, (-1, self.head_dim)) for part in parts)
        heads = [self.num_heads, self.num_kv_heads, self.num_kv_heads]
        return self.qkv_proj(hidden_ND).unflatten(-1, (-1, self.head_dim)).split(heads, dim=-2)

    def _attend_cached(self, q_NHd: Tensor, rows: Rows, cache: LayerCache) -> Tensor:
        out_NHd = q_NHd.new_empty(q_NHd.shape)
        for block in rows.blocks:
            q_RTHd = q_NHd[block.tokens].unflatten(0, (-1, block.count))
            out_RTHd = attend(
                q_RTHd, *cache.read(block), mask_R1TL=block.mask_R1TL, causal=block.is_causal
            )
            out_NHd[block.tokens] = out_RTHd.flatten(0, 1)
        return out_NHd


def attend_complete(
    q_NHd: Tensor, k_NKd: Tensor, v_NKd: Tensor, rows: Rows, scale: float | None = None
) -> Tensor:
    """Causal attention within complete rows of equal length, without a cache."""
    num_rows = len(rows.counts)
    q_RTHd, k_RTKd, v_RTKd = (x.unflatten(0, (num_rows, -1)) for x in (q_NHd, k_NKd, v_NKd))
    return attend(q_RTHd, k_RTKd, v_RTKd, causal=True, scale=scale).flatten(0, 1)


def attend(
    q_RTHd: Tensor,
    k_RLKd: Tensor,
    v_RLKd: Tensor,
    *,
    mask_R1TL: Tensor | None = None,
    causal: bool = False,
    scale: float | None = None,
) -> Tensor:
    """Softmax attention, [R, T, H, d of v]. `causal`: query t sees the first t + 1 positions."""
    dtype = q_RTHd.dtype
    if dtype is torch.bfloat16 and q_RTHd.device.type == "cpu" and q_RTHd.shape[1] <= FEW_QUERIES:
        q_RTHd, k_RLKd, v_RLKd = q_RTHd.float(), k_RLKd.float(), v_RLKd.float()
    out_RHTd = F.scaled_dot_product_attention(
        q_RTHd.transpose(1, 2),
        k_RLKd.transpose(1, 2),
        v_RLKd.transpose(1, 2),
        attn_mask=mask_R1TL,
        is_causal=causal,
        scale=scale,
        enable_gqa=q_RTHd.shape[2] != k_RLKd.shape[2],
    )
    return out_RHTd.transpose(1, 2).to(dtype)


def new_attention_cache(
    config: TransformerConfig, num_slots: int, length: int, like: Tensor
) -> LayerCache:
    """Keys and values, [slots, positions, key heads, width of a head] each."""
    shape = (num_slots, length, config.num_key_value_heads, config.head_dim)
    return LayerCache(like.new_zeros(shape), like.new_zeros(shape))
