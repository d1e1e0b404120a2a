"""The published recipe of janus-emoji: its sizes and the budget of each stage."""

from janus.config import (
    ExpertsConfig,
    JanusConfig,
    LatentAttentionConfig,
    TransformerConfig,
)
from janus.training.image_tokenizer import CodebookTraining, TokenizerTraining
from janus.training.joint import JointTraining
from janus.training.looking import LookingTraining
from vision.config import CodebookConfig, VisionConfig

IMAGE_SIZE = 64
PATCH_SIZE = 8
WIDTH = 256
VOCAB_SIZE = 1024
SEED = 2026
GUIDANCE = 1.5  # of its drawings; the 5 of Janus-Pro overdrives a model this small


def emoji_config(image_token_id: int) -> JanusConfig:
    """Both encoders, six layers of latent attention (five with experts), both heads: 19 M."""
    return JanusConfig(
        image_token_id=image_token_id,
        transformer=TransformerConfig(
            vocab_size=VOCAB_SIZE,
            hidden_size=WIDTH,
            intermediate_size=768,
            num_hidden_layers=6,
            num_attention_heads=4,
            num_key_value_heads=4,
            head_dim=32,
            max_position_embeddings=1024,
            latent_attention=LatentAttentionConfig(
                kv_lora_rank=64, qk_nope_head_dim=32, qk_rope_head_dim=32, v_head_dim=64
            ),
            experts=ExpertsConfig(
                n_routed_experts=8,
                num_experts_per_tok=2,
                moe_intermediate_size=256,
                first_k_dense_replace=1,
            ),
        ),
        vision=VisionConfig(
            hidden_size=256,
            num_hidden_layers=4,
            num_attention_heads=4,
            image_size=IMAGE_SIZE,
            patch_size=PATCH_SIZE,
            projection_dim=WIDTH,
        ),
        codebook=CodebookConfig(
            num_embeddings=4096,
            embed_dim=16,
            latent_channels=64,
            base_channels=64,
            channel_multiplier=(1, 1, 1, 3),
            num_res_blocks=0,
            projection_dim=WIDTH,
            image_token_embed_dim=WIDTH,
        ),
    )


# Budgets for two CPU cores; a longer run only needs larger numbers here.
CODEBOOK = CodebookTraining()
LOOKING = LookingTraining(steps=2500)
JOINT = JointTraining(steps=6000)
ENCODER = TokenizerTraining(steps=2000, batch_size=16)
DECODER = TokenizerTraining(steps=10_000, batch_size=8)
