"""Multi-head latent attention (DeepSeek-V2, arXiv 2405.04434, section 2.1).

Keys and values of all heads are one compressed vector c of `kv_lora_rank` numbers a token, beside a
small rotated key shared by the heads; only these two are cached. Rows with many new tokens expand c
to every head's keys and values (fewer operations); those with few fold the expansion into query and
output, and attend to c itself (fewer bytes). Both give the same result.
"""

# N new tokens, D width, H heads, S slots, R rows, L positions, r rank of c, e rotated numbers,
# n unrotated numbers of a query, v numbers of a value

import torch
from torch import Tensor, nn

from janus.config import TransformerConfig
from janus.model.attention import attend, attend_complete, attend_in_place
from janus.model.cache import Block, LayerCache, Rows, mask_R1TL
from janus.model.native import whole
from janus.model.norm import RMSNorm
from janus.model.packed import pack_kept
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
        # Per head and position, T queries of r numbers instead of n and v cost about 2 r T
        # multiplications more, and the expansion costs r (n + v).
        self.few = (latent.qk_nope_head_dim + latent.v_head_dim) // 2
        if latent.q_lora_rank is None:
            self.q_proj = nn.Linear(width, self.num_heads * query_dim, bias=False)
        else:
            self.q_a_proj = nn.Linear(width, latent.q_lora_rank, bias=bias)
            self.q_a_layernorm = RMSNorm(latent.q_lora_rank, eps=1e-6)
            self.q_b_proj = nn.Linear(latent.q_lora_rank, self.num_heads * query_dim, bias=False)
        self.kv_a_proj_with_mqa = nn.Linear(
            width, latent.kv_lora_rank + latent.qk_rope_head_dim, bias=bias
        )
        self.kv_a_layernorm = RMSNorm(latent.kv_lora_rank, eps=1e-6)
        self.kv_b_proj: nn.Module = nn.Linear(
            latent.kv_lora_rank,
            self.num_heads * (latent.qk_nope_head_dim + latent.v_head_dim),
            bias=False,
        )
        self.o_proj = nn.Linear(self.num_heads * latent.v_head_dim, width, bias=config.output_bias)
        self.folded: tuple[Tensor, Tensor] | None = None  # [H, n, r] and [H, r, v], once packed

    def pack(self) -> None:
        """From now on a token's numbers do not depend on the other tokens, to the bit."""
        assert isinstance(self.kv_b_proj, nn.Linear)
        key_Hnr, value_Hvr = (weight.detach() for weight in self._expansion())
        self.folded = key_Hnr.contiguous(), value_Hvr.transpose(1, 2).contiguous()
        self.kv_b_proj = pack_kept(self.kv_b_proj)

    def _expansion(self) -> tuple[Tensor, Tensor]:
        """The weights of the keys [H, n, r] and of the values [H, v, r]."""
        assert isinstance(self.kv_b_proj, nn.Linear)
        weight_Hxr = self.kv_b_proj.weight.unflatten(0, (self.num_heads, -1))
        n = self.latent.qk_nope_head_dim
        return weight_Hxr[:, :n], weight_Hxr[:, n:]

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

    def queries_and_keys(self, hidden_ND: Tensor, rotation: Rotation) -> tuple[Tensor, Tensor]:
        """[N, H, n + e] both, whose products times `scale` are the logits of attention."""
        keys_NHq, _ = self._expand(self._compress(hidden_ND, rotation))
        return self._queries(hidden_ND, rotation), keys_NHq

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

    def _expand(self, c: Tensor) -> tuple[Tensor, Tensor]:
        """Cached vectors [..., r + e] -> keys [..., H, n + e] and values [..., H, v]."""
        c_r, k_e = c.split([self.latent.kv_lora_rank, self.latent.qk_rope_head_dim], dim=-1)
        k_Hn, v_Hv = (
            self.kv_b_proj(c_r)
            .unflatten(-1, (self.num_heads, -1))
            .split([self.latent.qk_nope_head_dim, self.latent.v_head_dim], dim=-1)
        )
        k_He = k_e[..., None, :].expand(*k_Hn.shape[:-1], -1)
        return torch.cat([k_Hn, k_He], dim=-1), v_Hv

    def _attend_cached(self, q_NHq: Tensor, rows: Rows, cache: LayerCache) -> Tensor:
        outs_NHv = []
        for block in rows.blocks:
            q_RTHq = q_NHq[block.tokens].unflatten(0, (-1, block.count))
            attend_block = (
                self._attend_absorbed if block.count <= self.few else self._attend_expanded
            )
            outs_NHv.append(attend_block(q_RTHq, block, cache).flatten(0, 1))
        return torch.cat(outs_NHv)

    def _attend_expanded(self, q_RTHq: Tensor, block: Block, cache: LayerCache) -> Tensor:
        """[R, T, H, v], from the keys and values of every head."""
        k_RLHq, v_RLHv = self._expand(*cache.read(block))
        return attend(
            q_RTHq,
            k_RLHq.transpose(1, 2),
            v_RLHv.transpose(1, 2),
            mask_R1TL=block.mask_R1TL(),
            causal=block.is_causal,
            scale=self.scale,
        )

    def _attend_absorbed(self, q_RTHq: Tensor, block: Block, cache: LayerCache) -> Tensor:
        """[R, T, H, v], from the compressed vectors themselves.

        q . (W_k c) = (q W_k) . c, and sum p (W_v c) = W_v (sum p c): the heads share one key and
        one value, so they stand where further queries would.
        """
        n, r = self.latent.qk_nope_head_dim, self.latent.kv_lora_rank
        q_RTHr = self._fold_query(q_RTHq[..., :n])
        q_RTHc = torch.cat([q_RTHr, q_RTHq[..., n:]], dim=-1)
        c_S1Lc = cache.tensors[0][:, None]
        out_RTHr = attend_in_place(q_RTHc, c_S1Lc, c_S1Lc[..., :r], block, self.scale)
        if out_RTHr is None:
            out_RTHr = self._attend_read(q_RTHc, block, cache)[..., :r]
        return self._unfold_output(out_RTHr)

    def _fold_query(self, q_RTHn: Tensor) -> Tensor:
        if self.folded is None:
            return torch.einsum("RTHn,Hnr->RTHr", q_RTHn, self._expansion()[0])
        return whole.multiply(q_RTHn.flatten(0, 1), self.folded[0]).unflatten(0, q_RTHn.shape[:2])

    def _unfold_output(self, out_RTHr: Tensor) -> Tensor:
        if self.folded is None:
            return torch.einsum("RTHr,Hvr->RTHv", out_RTHr, self._expansion()[1])
        out_NHv = whole.multiply(out_RTHr.flatten(0, 1), self.folded[1])
        return out_NHv.unflatten(0, out_RTHr.shape[:2])

    def _attend_read(self, q_RTHc: Tensor, block: Block, cache: LayerCache) -> Tensor:
        """[R, T, H, c]. One tensor is key and value: nothing is copied and any kernel will do."""
        (c_RLc,) = cache.read(block)
        c_R1Lc = c_RLc[:, None]
        out_RQ1c = attend(
            q_RTHc.flatten(1, 2)[:, :, None],
            c_R1Lc,
            c_R1Lc,
            mask_R1TL=self._mask_of_heads(block),
            scale=self.scale,
        )
        return out_RQ1c[:, :, 0].unflatten(1, (block.count, -1))

    def _mask_of_heads(self, block: Block) -> Tensor | None:
        """Which positions each head of each new token sees."""
        mask = block.mask_R1TL()
        if block.count == 1:
            return mask
        if mask is None:
            mask = mask_R1TL(torch.arange(block.count, device=block.slots_R.device)[None])
        return mask.repeat_interleave(self.num_heads, dim=2)


def new_latent_cache(
    config: TransformerConfig, num_slots: int, length: int, like: Tensor
) -> LayerCache:
    """One compressed vector and one rotated key a token, shared by all heads."""
    latent = config.latent_attention
    assert latent is not None
    return LayerCache(like, num_slots, length, (latent.kv_lora_rank + latent.qk_rope_head_dim,))
