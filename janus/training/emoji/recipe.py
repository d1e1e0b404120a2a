"""The published recipe of janus-emoji: its sizes and the budget of each stage."""

from dataclasses import replace
from typing import Any

from janus.config import (
    ExpertsConfig,
    JanusConfig,
    LatentAttentionConfig,
    TransformerConfig,
)
from janus.training.emoji.lesson_batches import Course
from janus.training.emoji.lessons import EVERY_LESSON
from janus.training.emoji.scenes import DEFAULT_MIX
from janus.training.image_tokenizer import CodebookTraining, TokenizerTraining
from janus.training.joint import JointTraining
from janus.training.lessons import LessonTraining
from janus.training.looking import LookingTraining
from vision.config import CodebookConfig, VisionConfig

IMAGE_SIZE = 128
PATCH_SIZE = 16
WIDTH = 256
NUM_LAYERS = 6
VOCAB_SIZE = 2048
SEED = 2026
GUIDANCE = 5.0  # of its drawings
TEMPERATURE = 0.5  # of its drawings; at 1, a fifth fewer are right
EXPERTS = ExpertsConfig(
    n_routed_experts=8,
    num_experts_per_tok=2,
    moe_intermediate_size=256,
    first_k_dense_replace=1,
)


def emoji_config(image_token_id: int, *, dense: bool = False) -> JanusConfig:
    """Both encoders, six layers of latent attention, five of them with experts, both heads: 21 M.

    `dense` has ordinary feed-forward layers instead, as wide as the experts at work for a token.
    """
    return JanusConfig(
        image_token_id=image_token_id,
        transformer=TransformerConfig(
            vocab_size=VOCAB_SIZE,
            hidden_size=WIDTH,
            intermediate_size=3 * EXPERTS.moe_intermediate_size,  # a shared one and two routed
            num_hidden_layers=NUM_LAYERS,
            num_attention_heads=4,
            num_key_value_heads=4,
            head_dim=32,
            max_position_embeddings=1024,
            latent_attention=LatentAttentionConfig(
                kv_lora_rank=64, qk_nope_head_dim=32, qk_rope_head_dim=32, v_head_dim=64
            ),
            experts=replace(EXPERTS, first_k_dense_replace=NUM_LAYERS) if dense else EXPERTS,
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
            num_embeddings=8192,
            embed_dim=16,
            latent_channels=64,
            base_channels=64,
            channel_multiplier=(1, 1, 1, 1, 3),
            num_res_blocks=0,
            projection_dim=WIDTH,
            image_token_embed_dim=WIDTH,
        ),
    )


# Budgets for two CPU cores; a longer run only needs larger numbers here.
CODEBOOK = CodebookTraining(num_batches=600)
LOOKING = LookingTraining(steps=3500)
JOINT = JointTraining(steps=13_000, decay_share=0.0, compile=True)
_KNOWN = {"is presence": 1, "is background": 1}
_LOOKED_UP = {**_KNOWN, **dict.fromkeys(("region", "where", "colour", "number"), 1)}
LESSONS = LessonTraining(
    courses=(
        Course(steps=600, shares=EVERY_LESSON, lesson_share=0.5),  # until attention is guided
        Course(steps=120, shares={"is presence": 1}),
        Course(steps=90, shares={"is background": 3, "is presence": 1}),
        Course(steps=400, shares={"region": 3, "where": 4, **_KNOWN}),
        Course(steps=420, shares={**_KNOWN, "region": 1, "where": 1, "colour": 4, "number": 4}),
        Course(steps=160, shares={**_LOOKED_UP, "is more": 3, "is relation": 2}),
        Course(steps=120, shares={**_LOOKED_UP, "is colour": 4, "is more": 3, "is relation": 1}),
        Course(steps=180, shares=EVERY_LESSON, lesson_share=0.5, peak_lr=5e-4),
    ),
)
FINISH = JointTraining(
    steps=7000,
    decay_share=4 / 7,
    lesson_share=0.3,
    # Large pieces are drawn alone only, and are the last to be learned.
    drawn_mix={**DEFAULT_MIX, "single": 0.35, "shape": 0.12, "groups": 0.08},
    compile=True,
)
ENCODER = TokenizerTraining(steps=2000, batch_size=16)
DECODER = TokenizerTraining(steps=10_000, batch_size=8)


def stages_of(steps: int) -> dict[str, Any]:
    """The stages between the networks that only see or only draw, at another budget.

    So many steps in which both are learned, before and after the lessons, which have their share.
    """
    scale = steps / (JOINT.steps + FINISH.steps)
    joint = round(scale * JOINT.steps)
    courses = [replace(c, steps=round(scale * c.steps)) for c in LESSONS.courses]
    return {
        "joint_stage": replace(JOINT, steps=joint),
        "lesson_stage": replace(LESSONS, courses=tuple(courses)),
        "finish_stage": replace(FINISH, steps=steps - joint),
    }
