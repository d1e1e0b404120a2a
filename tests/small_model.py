"""A whole model that is small: latent attention, experts, both encoders; random, but it speaks."""

from string import ascii_lowercase

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from janus.config import ExpertsConfig, JanusConfig, LatentAttentionConfig, TransformerConfig
from janus.model.model import JanusModel
from janus.pipeline import Janus
from janus.prompts.chat import PromptStyle
from janus.prompts.tokenizer import (
    ASSISTANT,
    BOS,
    EOS,
    IMAGE,
    IMAGE_END,
    IMAGE_START,
    PAD,
    USER,
    JanusTokenizer,
)
from vision.config import CodebookConfig, VisionConfig

WIDTH = 64
SIDE = 32
SPECIAL = (BOS, EOS, PAD, IMAGE_START, IMAGE_END, IMAGE, USER, ASSISTANT)


def small_janus(config: JanusConfig | None = None) -> Janus:
    """Sees and draws 32 x 32 pixels in 16 tokens; answers in lower-case letters and no end."""
    tokenizer = byte_tokenizer()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = JanusModel(config or _config(tokenizer)).eval().requires_grad_(False)
        for parameter in model.parameters():
            if parameter.ndim > 1:
                torch.nn.init.normal_(parameter, std=1.2 * parameter[0].numel() ** -0.5)
    letters = [tokenizer.id_of(letter) for letter in ascii_lowercase]
    silent = torch.ones(len(model.lm_head.weight), dtype=torch.bool)
    silent[letters] = False
    model.lm_head.weight[silent] = 0
    style = PromptStyle.of_checkpoint(tokenizer, {"use_default_system_prompt": False})
    return Janus(model, tokenizer, style, name="small")


def byte_tokenizer() -> JanusTokenizer:
    """One id for each byte and each special token."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: index for index, token in enumerate([*SPECIAL, *alphabet])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, normalized=False) for token in SPECIAL])
    return JanusTokenizer(tokenizer)


def _config(tokenizer: JanusTokenizer) -> JanusConfig:
    return JanusConfig(
        image_token_id=tokenizer.special.image,
        transformer=TransformerConfig(
            vocab_size=len(tokenizer),
            hidden_size=WIDTH,
            intermediate_size=96,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=2,
            head_dim=16,
            max_position_embeddings=1024,
            latent_attention=LatentAttentionConfig(
                kv_lora_rank=16, qk_nope_head_dim=16, qk_rope_head_dim=16, v_head_dim=16
            ),
            experts=ExpertsConfig(
                n_routed_experts=4,
                num_experts_per_tok=2,
                moe_intermediate_size=32,
                first_k_dense_replace=1,
            ),
        ),
        vision=VisionConfig(
            hidden_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            image_size=SIDE,
            patch_size=8,
            projection_dim=WIDTH,
        ),
        codebook=CodebookConfig(
            num_embeddings=64,
            latent_channels=16,
            base_channels=32,
            channel_multiplier=(1, 1, 1, 1),
            num_res_blocks=0,
            projection_dim=WIDTH,
            image_token_embed_dim=WIDTH,
        ),
    )
