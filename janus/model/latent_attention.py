"""Multi-head latent attention (DeepSeek-V2, arXiv 2405.04434, section 2.1).

Keys and values of all heads are one compressed vector c of `kv_lora_rank` numbers a token, beside a
small rotated key shared by the heads; only these two are cached. Long rows expand c to every head's
keys and values (fewer operations); single-token rows fold the expansion into query and output, and
attend to c itself (fewer bytes). Both give the same result.
"""

# N new tokens, D width, H heads, R rows, L positions, r rank of c, e rotated numbers,
# n unrotated numbers of a query, v numbers of a value

import torch
from torch import Tensor, nn

from janus.config import TransformerConfig
from janus.model.attention import attend, attend_complete
from janus.model.cache import LayerCache, Rows
from janus.model.rotary import Rotation, softmax_scale


class LatentAttention(nn.Module):
    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        latent = config.latent_attention
        assert latent is not None
        self.latent, self.num_heads = latent, config.num_attention_heads
        width, bias = config.hidden_size, config.attention_bias
        query_dim = latent.qk_nope_head_dim + latent.qk_rope_head_dim
        self.scale = softmax_scale(config, query_dim)
        if latent.q_lora_rank is None:
            self.q_proj = nn.Linear(width, self.num_heads * query_dim, bias=False)
        else:
            self.q_a_proj = nn.Linear(width, latent.q_lora_rank, bias=bias)
            self.q_a_layernorm = nn.RMSNorm(latent.q_lora_rank, eps=1e-6)
            self.q_b_proj = nn.Linear(latent.q_lora_rank, self.num_heads * query_dim, bias=False)
        self.kv_a_proj_with_mqa = nn.Linear(
            width, latent.kv_lora_rank + latent.qk_rope_head_dim, bias=bias
        )
        self.kv_a_layernorm = nn.RMSNorm(latent.kv_lora_rank, eps=1e-6)
        self.kv_b_proj = nn.Linear(
            latent.kv_lora_rank,
            self.num_heads * (latent.qk_nope_head_dim + latent.v_head_dim),
            bias=False,
        )
        self.o_proj = nn.Linear(self.num_heads * latent.v_head_dim, width, bias=config.output_bias)

    def forward(
        self, hidden_ND: Tensor, rotation: Rotation, rows: Rows, cache: LayerCache | None
    ) -> Tensor:
        q_NHq = self._queries(hidden_ND, rotation)
        c_Nc = self._compress(hidden_ND, rotation)
        if cache is None:
            out_NHv = attend_complete(q_NHq, *self._expand(c_Nc), rows, scale=self.scale)
        else:
            cache.write(rows, c_Nc)
            out_NHv = self._attend_cached(q_NHq, rows, cache)
        return self.o_proj(out_NHv.flatten(-2))

    def _queries(self, hidden_ND: Tensor, rotation: Rotation) -> Tensor:
        """[N, H, n + e], rotated part last."""
        if self.latent.q_lora_rank is None:
            q = self.q_proj(hidden_ND)
        else:
            q = self.q_b_proj(self.q_a_layernorm(self.q_a_proj(hidden_ND)))
        q_NHn, q_NHe = q.unflatten(-1, (self.num_heads, -1)).split(
            [self.latent.qk_nope_head_dim, self.latent.qk_rope_head_dim], dim=-1
        )
        return torch.cat([q_NHn, self._rotate(q_NHe, rotation)], dim=-1)

    def _compress(self, hidden_ND: Tensor, rotation: Rotation) -> Tensor:
        """What is cached: [N, r + e], the compressed vector and the shared rotated key."""
        c_Nr, k_Ne = self.kv_a_proj_with_mqa(hidden_ND).split(
            [self.latent.kv_lora_rank, self.latent.qk_rope_head_dim], dim=-1
        )
        k_Ne = self._rotate(k_Ne[:, None], rotation)[:, 0]
        return torch.cat([self.kv_a_layernorm(c_Nr), k_Ne], dim=-1)

    def _rotate(self, x_NHe: Tensor, rotation: Rotation) -> Tensor:
        return rotation.pairs(x_NHe) if self.latent.rope_interleave else rotation.halves(x_NHe)

    def _expand(self, c_Lc: Tensor) -> tuple[Tensor, Tensor]:
        """Cached vectors [L, r + e] -> keys [L, H, n + e] and values [L, H, v] of every head."""
        c_Lr, k_Le = c_Lc.split([self.latent.kv_lora_rank, self.latent.qk_rope_head_dim], dim=-1)
        k_LHn, v_LHv = (
            self.kv_b_proj(c_Lr)
            .unflatten(-1, (self.num_heads, -1))
            .split([self.latent.qk_nope_head_dim, self.latent.v_head_dim], dim=-1)
        )
        k_LHe = k_Le[:, None].expand(-1, self.num_heads, -1)
        return torch.cat([k_LHn, k_LHe], dim=-1), v_LHv

    def _attend_cached(self, q_NHq: Tensor, rows: Rows, cache: LayerCache) -> Tensor:
        out_NHv = q_NHq.new_empty(len(q_NHq), self.num_heads, self.latent.v_head_dim)
        if rows.num_single:
            (c_RLc,) = cache.singles(rows)
            out_NHv[: rows.num_single] = self.attend_absorbed(
                q_NHq[: rows.num_single], c_RLc, rows.single_mask_R11L
            )
        for place, slot, start in rows.prefills():
            (c_Lc,) = cache.slot(slot, start + place.stop - place.start)
            k_LHq, v_LHv = self._expand(c_Lc)
            out_NHv[place] = attend(
                q_NHq[None, place], k_LHq[None], v_LHv[None], causal=True, scale=self.scale
            )[0]
        return out_NHv

    def attend_absorbed(self, q_RHq: Tensor, c_RLc: Tensor, mask_R11L: Tensor) -> Tensor:
        """Attention of one query a row to the compressed vectors themselves: [R, H, v].

        q . (W_k c) = (q W_k) . c, and sum p (W_v c) = W_v (sum p c): the heads share one key and
        one value, so they stand where a batch of queries would.
        """
        n, r = self.latent.qk_nope_head_dim, self.latent.kv_lora_rank
        weight_Hxr = self.kv_b_proj.weight.unflatten(0, (self.num_heads, -1))
        q_RHr = torch.einsum("RHn,Hnr->RHr", q_RHq[..., :n], weight_Hxr[:, :n])
        q_RHc = torch.cat([q_RHr, q_RHq[..., n:]], dim=-1)
        c_RL1c = c_RLc[:, :, None]
        # One tensor is key and value, so that nothing is copied and any kernel will do.
        out_RHc = attend(q_RHc[:, :, None], c_RL1c, c_RL1c, mask_R1TL=mask_R11L, scale=self.scale)[
            :, :, 0
        ]
        out_RHr = out_RHc[..., :r]
        return torch.einsum("RHr,Hvr->RHv", out_RHr, weight_Hxr[:, n:])


def new_latent_cache(
    config: TransformerConfig, num_slots: int, length: int, like: Tensor
) -> LayerCache:
    """One compressed vector and one rotated key a token, shared by all heads."""
    latent = config.latent_attention
    assert latent is not None
    return LayerCache(
        like.new_zeros(num_slots, length, latent.kv_lora_rank + latent.qk_rope_head_dim)
    )
