"""Multi-head attention with grouped keys and rotary positions, as Llama has it.

New tokens [N, D] in, [N, D] out. With a cache, rows of equally many new tokens attend in one batch;
without, all rows are complete and equally long. Latent attention, in its own file, shares the two
places where attention kernels are called: `attend`, and `attend_in_place` where one reads slots as
they lie.
"""

# N new tokens of all rows, D width, H heads, K key heads, G heads that share a key head,
# d width of a head, x of a key where it differs, S slots, R rows, T new tokens of a row,
# L positions attended to

from functools import cache as remembered
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from janus.config import TransformerConfig
from janus.model.cache import Block, LayerCache, Rows
from janus.model.linear import join, save_apart
from janus.model.native import attention as attention_kernel
from janus.model.native.build import library
from janus.model.norm import RMSNorm
from janus.model.rotary import Rotation

# New tokens of a row up to which two plain products attend in bfloat16 on a CPU. 24 layers of
# Janus-Pro-1B at position 300 on two cores, products and torch's kernel: two rows of one token
# 7.6 and 31.6 ms, of eight 14.6 and 19.6; sixteen rows of one token 51 to 74 and 240 ms.
FEW_QUERIES = 8


class Attention(nn.Module):
    """Grouped-query attention; as many key heads as heads is ordinary multi-head attention."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        width, d = config.hidden_size, config.head_dim
        self.num_heads, self.num_kv_heads = config.num_attention_heads, config.num_key_value_heads
        self.head_dim = d
        self.scale = d**-0.5
        self.q_proj = nn.Linear(width, self.num_heads * d, bias=config.attention_bias)
        self.k_proj = nn.Linear(width, self.num_kv_heads * d, bias=config.attention_bias)
        self.v_proj = nn.Linear(width, self.num_kv_heads * d, bias=config.attention_bias)
        self.o_proj = nn.Linear(self.num_heads * d, width, bias=config.output_bias)
        if config.use_qk_norm:
            self.q_norm = RMSNorm(d, eps=config.rms_norm_eps)
            self.k_norm = RMSNorm(d, eps=config.rms_norm_eps)
        self.use_qk_norm = config.use_qk_norm
        self.qkv_proj: nn.Linear | None = None  # instead of the three, once fused

    def fuse(self) -> None:
        """Makes one product of three."""
        self.qkv_proj = join(self.q_proj, self.k_proj, self.v_proj)
        del self.q_proj, self.k_proj, self.v_proj
        q_width, k_width = self.num_heads * self.head_dim, self.num_kv_heads * self.head_dim
        save_apart(self, "qkv_proj", {"q_proj": q_width, "k_proj": k_width, "v_proj": k_width})

    def forward(
        self, hidden_ND: Tensor, rotation: Rotation, rows: Rows, cache: LayerCache | None
    ) -> Tensor:
        q_NHd, k_NKd, v_NKd = self._project(hidden_ND, rotation)
        if cache is None:
            out_NHd = attend_complete(q_NHd, k_NKd, v_NKd, rows)
        else:
            cache.write(rows, k_NKd, v_NKd)
            out_NHd = self._attend_cached(q_NHd, rows, cache)
        return self.o_proj(out_NHd.flatten(-2))

    def queries_and_keys(self, hidden_ND: Tensor, rotation: Rotation) -> tuple[Tensor, Tensor]:
        """[N, H, d] both, whose products times `scale` are the logits of attention."""
        q_NHd, k_NKd, _ = self._project(hidden_ND, rotation)
        return q_NHd, k_NKd.repeat_interleave(self.num_heads // self.num_kv_heads, dim=1)

    def _project(self, hidden_ND: Tensor, rotation: Rotation) -> tuple[Tensor, Tensor, Tensor]:
        """Queries [N, H, d] and keys [N, K, d], both rotated, and values [N, K, d]."""
        if self.qkv_proj is None:
            parts = (self.q_proj(hidden_ND), self.k_proj(hidden_ND), self.v_proj(hidden_ND))
            q_NHd, k_NKd, v_NKd = (part.unflatten(-1, (-1, self.head_dim)) for part in parts)
        else:
            heads = [self.num_heads, self.num_kv_heads, self.num_kv_heads]
            joined = self.qkv_proj(hidden_ND).unflatten(-1, (-1, self.head_dim))
            q_NHd, k_NKd, v_NKd = joined.split(heads, dim=-2)
        if self.use_qk_norm:
            q_NHd, k_NKd = self.q_norm(q_NHd), self.k_norm(k_NKd)
        return rotation.halves(q_NHd), rotation.halves(k_NKd), v_NKd

    def _attend_cached(self, q_NHd: Tensor, rows: Rows, cache: LayerCache) -> Tensor:
        outs_NHd = []
        for block in rows.blocks:
            q_RTHd = q_NHd[block.tokens].unflatten(0, (-1, block.count))
            k_SKLd, v_SKLd = cache.tensors
            out_RTHd = attend_in_place(q_RTHd, k_SKLd, v_SKLd, block)
            if out_RTHd is None:
                out_RTHd = self._attend_read(q_RTHd, block, cache)
            outs_NHd.append(out_RTHd.flatten(0, 1))
        return torch.cat(outs_NHd)

    def _attend_read(self, q_RTHd: Tensor, block: Block, cache: LayerCache) -> Tensor:
        # Products copy what is not contiguous, such as the filled part of a slot.
        is_whole = _is_for_products(q_RTHd) and not block.is_causal
        length = cache.cheapest_length(block) if is_whole else block.length
        return attend(
            q_RTHd,
            *cache.read(block, length),
            mask_R1TL=block.mask_R1TL(length),
            causal=block.is_causal,
        )


def attend_complete(
    q_NHd: Tensor, k_NKd: Tensor, v_NKd: Tensor, rows: Rows, scale: float | None = None
) -> Tensor:
    """Causal attention within complete rows of equal length, without a cache."""
    num_rows, mask_R1TT = len(rows.counts), rows.mask_R1TT
    q_RTHd, k_RTKd, v_RTKd = (x.unflatten(0, (num_rows, -1)) for x in (q_NHd, k_NKd, v_NKd))
    out_RTHd = attend(
        q_RTHd,
        k_RTKd.transpose(1, 2),
        v_RTKd.transpose(1, 2),
        mask_R1TL=mask_R1TT,
        causal=mask_R1TT is None,
        scale=scale,
    )
    return out_RTHd.flatten(0, 1)


def attend(
    q_RTHd: Tensor,
    k_RKLd: Tensor,
    v_RKLd: Tensor,
    *,
    mask_R1TL: Tensor | None = None,
    causal: bool = False,
    scale: float | None = None,
) -> Tensor:
    """Softmax attention, [R, T, H, d of v]. `causal`: query t sees the first t + 1 positions."""
    q_RHTd = q_RTHd.transpose(1, 2)
    if _is_for_products(q_RTHd) and not causal:
        out_RHTd = _attend_few(q_RHTd, k_RKLd, v_RKLd, mask_R1TL, scale)
    else:
        out_RHTd = F.scaled_dot_product_attention(
            q_RHTd,
            k_RKLd,
            v_RKLd,
            attn_mask=mask_R1TL,
            is_causal=causal,
            scale=scale,
            enable_gqa=q_RHTd.shape[1] != k_RKLd.shape[1],
        )
    return out_RHTd.transpose(1, 2)


def attend_in_place(
    q_RTHx: Tensor, k_SKLx: Tensor, v_SKLd: Tensor, block: Block, scale: float | None = None
) -> Tensor | None:
    """Softmax attention of a block to slots where they lie: [R, T, H, d].

    None where `attend` serves it better, as it does most rows that are new, or no kernel does it.
    """
    kernel = slot_kernel(q_RTHx.device.type, q_RTHx.dtype)
    num_heads, width = q_RTHx.shape[2:]
    group = num_heads // k_SKLx.shape[1]
    factor: float = scale or width**-0.5
    if attention_kernel.suits_prompts(q_RTHx, k_SKLx, v_SKLd):
        return attention_kernel.attend_prompts(
            q_RTHx, k_SKLx, v_SKLd, block.slots_R, block.ends_R, factor
        )
    if block.is_causal or kernel is None:
        return None
    if not kernel.suits(block.count, group, width, v_SKLd.shape[-1]):
        return None
    return kernel.attend_slots(q_RTHx, k_SKLx, v_SKLd, block.slots_R, block.ends_R, factor)


@remembered
def slot_kernel(device_type: str, dtype: torch.dtype) -> ModuleType | None:
    """The module whose `attend_slots` does it: Triton's on GPUs, our own on CPUs."""
    if device_type == "cuda" and find_spec("triton") is not None:
        return import_module("janus.model.slot_kernel")
    is_known = dtype in (torch.float32, torch.bfloat16)
    if device_type == "cpu" and is_known and library() is not None:
        return attention_kernel
    return None


def _is_for_products(q_RTHd: Tensor) -> bool:
    is_cpu = q_RTHd.device.type == "cpu"
    return is_cpu and q_RTHd.dtype is torch.bfloat16 and q_RTHd.shape[1] <= FEW_QUERIES


def _attend_few(
    q_RHTd: Tensor, k_RKLd: Tensor, v_RKLd: Tensor, mask_R1TL: Tensor | None, scale: float | None
) -> Tensor:
    """Keys times queries, not the reverse: the product then runs along the keys as they lie."""
    num_heads, num_new = q_RHTd.shape[1:3]
    groups = num_heads // k_RKLd.shape[1]
    q_RKQd = q_RHTd.unflatten(1, (-1, groups)).flatten(2, 3)  # Q = G * T
    scores_RKQL = (k_RKLd @ q_RKQd.mT).mT * (scale or q_RHTd.shape[-1] ** -0.5)
    if mask_R1TL is not None:
        scores_RKGTL = scores_RKQL.unflatten(2, (groups, num_new))
        scores_RKQL = scores_RKGTL.where(mask_R1TL[:, :, None], float("-inf")).flatten(2, 3)
    out_RKQd = scores_RKQL.softmax(dim=-1) @ v_RKLd
    return out_RKQd.unflatten(2, (groups, num_new)).flatten(1, 2)


def new_attention_cache(
    config: TransformerConfig, num_slots: int, length: int, like: Tensor
) -> LayerCache:
    """Keys and values, [slots, key heads, positions, width of a head] each."""
    part = (config.num_key_value_heads, config.head_dim)
    return LayerCache(like, num_slots, length, part, part)
