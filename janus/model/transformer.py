"""The shared transformer: new tokens' embeddings in, their hidden states out.

Pre-norm blocks of two independent choices: attention {multi-head, latent} x feed-forward {dense,
mixture of experts}. It knows neither words nor pictures. Attribute names are the checkpoint's.
"""

# N new tokens of all rows, D width

from collections.abc import Callable

import torch
from torch import Tensor, nn

from janus.config import TransformerConfig
from janus.model.attention import Attention, new_attention_cache
from janus.model.cache import Cache, LayerCache, Rows
from janus.model.latent_attention import LatentAttention, new_latent_cache
from janus.model.moe import FeedForward, MixtureOfExperts
from janus.model.norm import RMSNorm
from janus.model.rotary import Rotation, rotation


class Transformer(nn.Module):
    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(Block(config, i) for i in range(config.num_hidden_layers))
        self.norm = RMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        # Runs all layers in one call, or returns None; set where their weights are packed for that.
        self.at_once: Callable[[Tensor, Rotation, Rows, Cache], Tensor | None] | None = None

    def forward(self, hidden_ND: Tensor, rows: Rows, cache: Cache | None = None) -> Tensor:
        """Embeddings of the new tokens -> their final hidden states, [N, D]."""
        turn = rotation(self.config, rows.positions_N, hidden_ND.dtype)
        out_ND = self.at_once(hidden_ND, turn, rows, cache) if self.at_once and cache else None
        if out_ND is None:
            out_ND = hidden_ND
            for i, layer in enumerate(self.layers):
                out_ND = layer(out_ND, turn, rows, cache.layers[i] if cache else None)
        return self.norm(out_ND)

    def new_cache(self, num_slots: int, length: int) -> Cache:
        """Memory for `num_slots` rows of at most `length` tokens, in the weights' dtype."""
        new_layer = new_latent_cache if self.config.latent_attention else new_attention_cache
        like = self.embed_tokens.weight
        with torch.no_grad():
            layers = [new_layer(self.config, num_slots, length, like) for _ in self.layers]
        return Cache(layers, num_slots, length)


class Block(nn.Module):
    def __init__(self, config: TransformerConfig, index: int) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        self.self_attn = LatentAttention(config) if config.latent_attention else Attention(config)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        if config.is_dense(index):
            self.mlp = FeedForward(config.hidden_size, config.intermediate_size)
        else:
            self.mlp = MixtureOfExperts(config)

    def forward(
        self, hidden_ND: Tensor, turn: Rotation, rows: Rows, cache: LayerCache | None
    ) -> Tensor:
        hidden_ND = hidden_ND + self.self_attn(self.input_layernorm(hidden_ND), turn, rows, cache)
        return hidden_ND + self.mlp(self.post_attention_layernorm(hidden_ND))
